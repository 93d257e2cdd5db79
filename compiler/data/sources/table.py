"""The list of sources that a dataset may have, and what messages call one.

Check, reading, fetching, editor and docs ask here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.running.filetable import FileTable

from ... import ir
from .base import FetchedSource, FileSource

_FILES: dict[str, str] = {
    "csv": "csv_file",
    "jsonl": "jsonl_file",
    "json": "json_file",
    "parquet": "parquet_file",
    "recorded": "recorded",
    "huggingface": "huggingface",
    "python": "python_function",
}
"""Files of the project first."""

SOURCES: Mapping[str, FileSource | FetchedSource] = FileTable[FileSource | FetchedSource](
    __package__, _FILES, "SOURCE"
)
"""By the name that a dataset uses."""


def source_of(source: ir.DataSource) -> FileSource | FetchedSource:
    return SOURCES[source.kind]


def endings() -> list[str]:
    """How data files end."""
    return [source.ending for source in SOURCES.values() if isinstance(source, FileSource)]


def is_ending(name: str) -> bool:
    """Whether data files may end like that."""
    return bool(kind_by_ending(name))


def kind_by_ending(ending: str) -> str:
    """The name of the source whose files end like that; "" where there is none."""
    for name, source in SOURCES.items():
        if isinstance(source, FileSource) and source.ending == ending:
            return name
    return ""


def is_fetched(source: ir.DataSource) -> bool:
    """True for rows that are no file of the project: they are fetched once and kept."""
    return isinstance(source_of(source), FetchedSource)


def title(source: ir.DataSource) -> str:
    """What messages call it."""
    found = source_of(source)
    return found.title(source) if isinstance(found, FetchedSource) else source.path
