"""The list of sources that an extern may have. Check, editor and messages ask here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.running.filetable import FileTable

from .base import ExternSource

_FILES: dict[str, str] = {name: name for name in ("python", "bm25", "embeddings", "colbert", "mcp", "http")}

EXTERN_SOURCES: Mapping[str, ExternSource] = FileTable[ExternSource](__package__, _FILES, "SOURCE")
"""The sources, by the name that an extern uses."""
