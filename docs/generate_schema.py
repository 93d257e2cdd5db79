"""Writes the published JSON Schemas: of artifacts from the program model, of outputs of commands from their types."""

from __future__ import annotations

from pathlib import Path

from dspec.compiler.cli import outputs
from dspec.runtime.artifact.artifact import schema_text

SCHEMA = Path(__file__).resolve().parent.parent / "runtime" / "artifact.schema.json"
OUTPUTS = Path(__file__).resolve().parent / "schemas"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    OUTPUTS.mkdir(exist_ok=True)
    for name in outputs.SCHEMAS:
        (OUTPUTS / f"{name}.schema.json").write_text(outputs.schema_text(name), encoding="utf-8")
