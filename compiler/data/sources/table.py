"""The list of sources that a dataset may have, and what messages call one.

Check, reading, fetching, editor and docs ask here and nowhere else.
"""

from __future__ import annotations

from importlib import import_module

from ... import ir
from .base import FetchedSource, FileSource

_FILES = ("csv_file", "jsonl_file", "json_file", "parquet_file", "huggingface", "python_function")
"""Files of the project first."""


def _record(file: str) -> FileSource | FetchedSource:
    return import_module(f".{file}", __package__).SOURCE


SOURCES: dict[str, FileSource | FetchedSource] = {source.name: source for source in map(_record, _FILES)}
"""By the name that a dataset uses."""


def source_of(source: ir.DataSource) -> FileSource | FetchedSource:
    return SOURCES[source.kind]


def endings() -> list[str]:
    """How data files end: each is a source's name."""
    return [name for name, source in SOURCES.items() if isinstance(source, FileSource)]


def is_fetched(source: ir.DataSource) -> bool:
    """True for rows that are no file of the project: they are fetched once and kept."""
    return isinstance(source_of(source), FetchedSource)


def title(source: ir.DataSource) -> str:
    """What messages call it."""
    found = source_of(source)
    return found.title(source) if isinstance(found, FetchedSource) else source.path
