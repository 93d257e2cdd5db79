"""Opens a source's rows: its file, or what was kept of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from .. import ir
from . import opening, snapshots
from .sources import jsonl_file
from .sources.base import FileSource
from .sources.table import source_of, title
from .tables import BrokenRow, RawRow, RawRows, Table


@contextmanager
def open_table(source: ir.DataSource, folder: Path, root: Path | None = None) -> Generator[Table]:
    """Open a dataset's file, or the fetched rows that were kept of it.

    Raises DataError: `unreadable`, `outside`, `unfetched`, or `empty` (a csv without header).

    Errors found further on are raised while `rows` is consumed.
    """
    found = source_of(source)
    with opening.open_inside(*snapshots.located(source, folder, root)) as stream:
        if isinstance(found, FileSource):
            yield found.read(stream, source)
            return
        text = snapshots.find(source, folder, root).text
        table = jsonl_file.SOURCE.read(stream, ir.DataSource(kind=jsonl_file.SOURCE.name, path=title(source)))
        if text:
            table = replace(table, rows=_only_texts(table.rows), batches=None)
        yield replace(table, unit="row", text=text)


def _only_texts(rows: RawRows) -> RawRows:
    """Rows that came from csv files: every cell is text."""
    for row in rows:
        if isinstance(row, RawRow) and not all(isinstance(cell, str) for cell in row.values.values()):
            yield BrokenRow(row.number, "has a cell that is no text")
        else:
            yield row
