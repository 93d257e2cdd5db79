"""The list of sources that an extern may have. Check, editor and messages ask here and nowhere else."""

from __future__ import annotations

from importlib import import_module

from .base import ExternSource

_FILES = ("python", "bm25", "embeddings", "colbert", "mcp")


def _record(file: str) -> ExternSource:
    return import_module(f".{file}", __package__).SOURCE


EXTERN_SOURCES: dict[str, ExternSource] = {source.name: source for source in map(_record, _FILES)}
"""By the name that an extern uses."""
