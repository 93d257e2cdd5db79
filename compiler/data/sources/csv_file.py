"""csv: comma-separated values with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import BinaryIO, cast

from ... import ir
from ...diagnostics.wording import plural
from .. import opening
from ..problem import DataError, DataProblem, unreadable
from ..tables import MAX_CELL, MAX_COLUMNS, Batch, BrokenRow, RawRow, RawRows, Table, count_lines, table_of
from .base import FileSource, SourceParameter

_AT_ONCE = 4_096


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    # The limit is the csv module's own and process-wide; it is only ever raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    delimiter = source.options.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n" ':
        raise unreadable("a csv file's `delimiter` must be one character, such as `;`")
    lines = opening.TextLines(stream, source.path)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
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

    def batches(most: int) -> Iterator[Batch]:
        lines.ahead = True
        return _csv_batches(reader, source.path, columns, most)

    rows = _csv_rows(raw, columns)
    return table_of(stream, source, "line", columns, rows, text=True, batches=batches)


def _csv_records(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line they start on; blank lines are skipped."""
    last = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(name, last + 1, error) from None
        start, last = last + 1, _line(reader)
        if cells:
            yield start, cells


def _broken(name: str, line: int, error: csv.Error) -> DataError:
    if "new-line character" in str(error):
        return unreadable(
            f"`{name}` cannot be read as csv: the row that starts on line {line} has a carriage return (\\r) inside, "
            "which ended lines on old Macs",
            "save the file with line ends of \\n or \\r\\n; a cell that holds a carriage return is put in quotes",
        )
    return unreadable(
        f"`{name}` cannot be read as csv: the row that starts on line {line}: {error}",
        'a cell that holds quotes is written "like ""this"" one"',
    )


def _line(reader: Iterator[list[str]]) -> int:
    """The line that was read last."""
    return cast("int", reader.line_num)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _csv_batches(
    reader: Iterator[list[str]], name: str, columns: tuple[str, ...], most: int
) -> Iterator[Batch]:
    """The records that are left, up to so many, with the lines they start on."""
    last = _line(reader)
    while most > 0:
        records: list[list[str]] = []
        try:
            # What was read before an error stays in the list.
            records.extend(islice(reader, min(_AT_ONCE, most)))
        except csv.Error as error:
            raise _broken(name, 1 + last + sum(map(_lines_of, records)), error) from None
        if not records:
            return
        numbers: Sequence[int] = range(last + 1, last + 1 + len(records))
        if _line(reader) - last != len(records):
            ends = list(accumulate(map(_lines_of, records), initial=last + 1))
            numbers = ends[:-1]
        last = _line(reader)
        if [] in records:
            numbers = [number for number, cells in zip(numbers, records, strict=True) if cells]
            records = [cells for cells in records if cells]
        most -= len(records)
        yield _csv_batch(records, numbers, columns)


def _lines_of(cells: list[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in cells)


def _csv_batch(records: list[list[str]], numbers: Sequence[int], columns: tuple[str, ...]) -> Batch:
    def each() -> list[RawRow | BrokenRow]:
        return list(_csv_rows(zip(numbers, records, strict=True), columns))

    if set(map(len, records)) != {len(columns)}:
        return Batch(len(records), each)
    cells = dict(zip(columns, zip(*records, strict=True), strict=True))
    return Batch(len(records), each, numbers, (columns,), cells.__getitem__)


def _csv_rows(records: Iterable[tuple[int, list[str]]], columns: tuple[str, ...]) -> RawRows:
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
