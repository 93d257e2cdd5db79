"""What a source of rows is: a record of all that check, reading, fetching, editor and docs know of it.

A dataset names a source as it would call a function: `csv("data/rows.csv")`. Its rows are a file of the project
(`FileSource`), or they are elsewhere, fetched when a command asks for it and kept (`FetchedSource`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from dspec.runtime.schema.types import Frozen, JsonValue

from ... import ir
from ...diagnostics.codes.base import Finding
from ...project.source import Location
from .. import opening
from ..tables import MAX_ROWS, Table, count_lines


class SourceParameter(Struct, frozen=True):
    """One argument of a source. `path` and `column` are texts, too: a data file, a column of it. An `address` is a text
    or `env("NAME")`, a `secret` only that; a `choice` is one of `choices`, a `share` a number from 0 to 1."""

    name: str
    value: Literal["text", "path", "column", "integer", "lm", "address", "secret", "choice", "share"]
    required: bool = False
    default: str = ""
    doc: str = ""
    choices: tuple[str, ...] = ()


class Checking(Protocol):
    """The check that a source's own check is part of: where the project is, and what is told of mistakes."""

    @property
    def root(self) -> Path:
        """The project's root."""
        ...

    @property
    def folder(self) -> Path:
        """The folder of the root file, from which a source's path is told."""
        ...

    def report(self, finding: Finding, /) -> None: ...


class Written(Struct, frozen=True):
    """A source's arguments as they were written, by parameter; `beside` is the folder of the file they stand in."""

    beside: Path
    texts: Mapping[str, tuple[str, Location]]


class Limits(Struct, frozen=True):
    """What a source may take: `seconds` of a Python function's time, and the size of its rows."""

    seconds: float = 600.0
    rows: int = MAX_ROWS
    bytes: int = opening.MAX_FILE_BYTES


class Snapshot(Frozen, defer_build=True):
    """Fetched rows as they are kept: `file` has them, and `text` says that their cells are text still to be read as
    the declared types.

    `commit` and `files` are what was read on the hub.
    """

    source: ir.DataSource
    file: str
    rows: int
    text: bool = False
    commit: str | None = None
    files: tuple[str, ...] = ()


class Fetch(Struct, frozen=True):
    """An order to write a source's rows as jsonl to the file `rows`, which lies in the empty folder `work`."""

    source: ir.DataSource
    title: str
    """What messages call it."""
    folder: Path
    root: Path
    work: Path
    rows: Path
    limits: Limits
    known: Snapshot | None
    """What is kept of it, if anything is."""
    is_intact: Callable[[Snapshot], bool]
    """Whether what is kept is as it was."""


class RowSource(Struct, frozen=True):
    """The facts of one source. The first of `parameters` may be given without its name."""

    name: str
    doc: str
    parameters: tuple[SourceParameter, ...]


class FileSource(RowSource, frozen=True):
    """Rows that are a file of the project. Such files end with the source's name, unless it says how."""

    read: Callable[[opening.PlacedFile, ir.DataSource], Table]
    """The table in an open file. Raises DataError."""
    count: Callable[[opening.PlacedFile, ir.DataSource], int] = lambda stream, source: count_lines(stream)
    """The rows of a file that is too large to be read for a check."""
    ends: str = ""
    """How such files end, where that is not the source's name."""
    beside: str = ""
    """The end of the name of a file that lies beside it and belongs to it, if there is one."""

    @property
    def ending(self) -> str:
        return self.ends or self.name


def _itself(source: ir.DataSource, folder: Path, root: Path) -> list[JsonValue]:
    return [source.model_dump(mode="json")]


class FetchedSource(RowSource, frozen=True):
    """Rows that are no file of the project: fetched once, and kept."""

    check: Callable[[Checking, Written], ir.DataSource | None]
    """The source that was written; reports what is wrong with it. It neither runs code nor uses the network."""
    fetch: Callable[[Fetch], Snapshot]
    """Carries out the order; `known` itself where there is nothing newer. Raises DataError."""
    title: Callable[[ir.DataSource], str]
    """What messages call it."""
    identity: Callable[[ir.DataSource, Path, Path], list[JsonValue]] = _itself
    """By folder and root: what its kept rows are known by. Raises DataError."""
    unknown: str = "they have not been fetched"
    """Why its rows are not there, where none are kept."""
