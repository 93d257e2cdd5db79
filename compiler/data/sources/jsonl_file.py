"""jsonl: one JSON object per line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ... import ir
from .. import opening
from ..tables import BrokenRow, RawRow, RawRows, Table, json_kind, parse_json, table_of
from .base import FileSource, SourceParameter


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    return table_of(stream, source, "line", None, _jsonl_rows(opening.lines(stream, source.path)), text=False)


def _jsonl_rows(text: Iterator[str]) -> RawRows:
    for number, line in enumerate(text, 1):
        if line.isspace():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            yield BrokenRow(number, f"is not JSON: {error}")
            continue
        if isinstance(value, dict):
            yield RawRow(number, value)
        else:
            yield BrokenRow(number, f"holds {json_kind(value)}, not an object")


SOURCE = FileSource(
    name="jsonl",
    doc="One JSON object per line.",
    parameters=(SourceParameter("path", "path", required=True),),
    read=_read,
)
