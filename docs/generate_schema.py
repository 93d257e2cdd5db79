"""Writes `runtime/artifact.schema.json`, the published schema of artifacts, from the program model."""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.artifact.artifact import schema_text

SCHEMA = Path(__file__).resolve().parent.parent / "runtime" / "artifact.schema.json"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
