"""The list of sources that tools come from. Running, loading and integrity ask here and nowhere else."""

from __future__ import annotations

from importlib import import_module

from .base import ToolSource

_FILES = ("python", "bm25", "embeddings", "colbert", "mcp", "http")


def _record(file: str) -> ToolSource:
    return import_module(f".{file}", __package__).SOURCE


SOURCES: dict[str, ToolSource] = {source.name: source for source in map(_record, _FILES)}
"""The sources, by the name that a tool uses."""
