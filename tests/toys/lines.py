"""lines: a text file, one row a line. It would stand in `compiler/data/sources/`."""

from __future__ import annotations

from typing import BinaryIO

from ... import ir
from .. import opening
from ..tables import RawRow, Table, table_of
from .base import FileSource, SourceParameter


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    mark = str(source.options.get("mark", ""))
    rows = (
        RawRow(number, {"text": line.strip() + mark})
        for number, line in enumerate(opening.lines(stream, source.path), 1)
    )
    return table_of(stream, source, "line", ("text",), rows, text=True)


SOURCE = FileSource(
    name="lines",
    doc="A text file, one row a line.",
    parameters=(SourceParameter("path", "path", required=True), SourceParameter("mark", "text")),
    read=_read,
)
