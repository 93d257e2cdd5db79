"""csv: comma-separated values with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, cast

from ... import ir
from ...diagnostics.wording import plural
from .. import opening
from ..problem import DataError, DataProblem, unreadable
from ..tables import MAX_CELL, MAX_COLUMNS, BrokenRow, RawRow, RawRows, Table, count_lines, table_of
from .base import FileSource, SourceParameter


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    # The limit is the csv module's own and process-wide; it is only ever raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    delimiter = source.options.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n" ':
        raise unreadable("a csv file's `delimiter` must be one character, such as `;`")
    reader = csv.reader(opening.lines(stream, source.path), delimiter=delimiter, strict=True)
    raw = _csv_records(reader, source.path)
    named = source.options.get("header")
    header = (0, str(named).split(",")) if named is not None else next(raw, None)
    if header is None:
        message = f"`{source.path}` is empty"
        raise DataError(
            [DataProblem(kind="empty", message=message, help="the first line must name the columns")]
        )
    columns = tuple(name.strip() for name in header[1])
    if len(columns) > MAX_COLUMNS:
        raise unreadable(f"the header of `{source.path}` has {plural(len(columns), 'column')}")
    twice = next((name for i, name in enumerate(columns) if name in columns[:i]), None)
    if twice is not None:
        raise unreadable(f"the header of `{source.path}` names the column `{twice}` twice")
    return table_of(stream, source, "line", columns, _csv_rows(raw, columns), text=True)


def _csv_records(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line they start on; blank lines are skipped."""
    last = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise unreadable(
                f"`{name}` cannot be read as csv: the row that starts on line {last + 1}: {error}",
                'a cell that holds quotes is written "like ""this"" one"',
            ) from None
        start, last = last + 1, cast("int", reader.line_num)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        if cells:
            yield start, cells


def _csv_rows(records: Iterator[tuple[int, list[str]]], columns: tuple[str, ...]) -> RawRows:
    for number, cells in records:
        if len(cells) == len(columns):
            yield RawRow(number, dict(zip(columns, cells, strict=True)))
        else:
            has = plural(len(cells), "cell")
            yield BrokenRow(number, f"has {has} where the header names {plural(len(columns), 'column')}")


def _count(stream: BinaryIO, source: ir.DataSource) -> int:
    return max(0, count_lines(stream, quotes=True) - ("header" not in source.options))


SOURCE = FileSource(
    name="csv",
    doc="Comma-separated values with a header line.",
    parameters=(
        SourceParameter("path", "path", required=True),
        SourceParameter("delimiter", "text", doc="The character between cells; a comma when not set."),
        SourceParameter(
            "header", "text", doc="The columns' names, `text,label`, of a file without a header line."
        ),
    ),
    read=_read,
    count=_count,
)
