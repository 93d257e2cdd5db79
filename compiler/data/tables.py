"""Files as raw rows: csv, jsonl and json, nothing typed yet.

A table is read once, lazily, in file order. A row that cannot be read is a `BrokenRow`, so that one
bad line does not hide the others; a file that cannot be read at all raises `DataError`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, cast

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.types import JsonValue

from .. import ir
from ..diagnostics.wording import plural
from . import opening, snapshots
from .problem import DataError, DataProblem, unreadable

MAX_ROWS = 2_000_000
MAX_COLUMNS = 4096
MAX_DEPTH = 100
"""Deepest nesting of a JSON value that is taken."""

MAX_CELL = opening.MAX_LINE_BYTES


class RawRow(Struct, frozen=True):
    """`number` is the row's line (csv, jsonl: where it starts) or its number, from 1."""

    number: int
    values: Mapping[str, JsonValue]


class BrokenRow(Struct, frozen=True):
    """A row that is there but cannot be read; `reason` continues "line 7 …"."""

    number: int
    reason: str


RawRows = Iterator[RawRow | BrokenRow]


class Table(Struct, frozen=True):
    """An open file. `text` says that cells are text still to be read as the declared types.

    `columns` are the header's names, None where rows name their own. `consumed()` is the bytes
    read so far, out of `size`.
    """

    name: str
    unit: Literal["line", "row"]
    text: bool
    columns: tuple[str, ...] | None
    rows: RawRows
    consumed: Callable[[], int]
    size: int


@contextmanager
def open_table(source: ir.DataSource, folder: Path, root: Path | None = None) -> Generator[Table]:
    """Open a dataset's file, or the fetched rows that were kept of it.

    Raises DataError: `unreadable`, `outside`, `unfetched`, or `empty` (a csv without header).

    Errors found further on are raised while `rows` is consumed.
    """
    stream = opening.open_inside(*snapshots.located(source, folder, root))
    with stream:
        match source.kind:
            case "csv":
                yield _csv_table(stream, source)
            case "jsonl":
                yield _jsonl_table(stream, source)
            case "json":
                yield _json_table(stream, source)
            case "parquet":
                from .parquet import parquet_table

                yield parquet_table(stream, source)
            case "python" | "huggingface":
                text = snapshots.find(source, folder, root).text
                table = _jsonl_table(stream, ir.DataSource(kind="jsonl", path=source.title))
                rows = _only_texts(table.rows) if text else table.rows
                yield replace(table, unit="row", text=text, rows=rows)


def _csv_table(stream: BinaryIO, source: ir.DataSource) -> Table:
    # The limit is the csv module's own and process-wide; it is only ever raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    delimiter = source.options.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n" ':
        raise unreadable("a csv file's `delimiter` must be one character, such as `;`")
    reader = csv.reader(opening.lines(stream, source.path), delimiter=delimiter, strict=True)
    raw = _csv_records(reader, source.path)
    header = next(raw, None)
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
    return _table(stream, source, "line", columns, _csv_rows(raw, columns), text=True)


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


def _jsonl_table(stream: BinaryIO, source: ir.DataSource) -> Table:
    return _table(stream, source, "line", None, _jsonl_rows(opening.lines(stream, source.path)), text=False)


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
            yield BrokenRow(number, f"holds {_article(value)}, not an object")


def _only_texts(rows: RawRows) -> RawRows:
    """Rows that came from csv files: every cell is text."""
    for row in rows:
        if isinstance(row, RawRow) and not all(isinstance(cell, str) for cell in row.values.values()):
            yield BrokenRow(row.number, "has a cell that is no text")
        else:
            yield row


def _json_table(stream: BinaryIO, source: ir.DataSource) -> Table:
    name = source.path
    opening.check_size(stream, name, opening.MAX_JSON_BYTES, "use jsonl: one object per line")
    try:
        value = parse_json(stream.read(opening.MAX_JSON_BYTES + 1).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        bad = error.object[error.start]
        raise unreadable(
            f"`{name}` is not UTF-8: line {line} has the byte 0x{bad:02x}", "save the file as UTF-8"
        ) from None
    except ValueError as error:
        raise unreadable(f"`{name}` is not JSON: {error}") from None
    if not isinstance(value, list):
        raise unreadable(
            f"`{name}` holds {_article(value)}, not a list of objects",
            "write `[{…}, {…}]`, or use jsonl: one object per line",
        )
    return _table(stream, source, "row", None, _json_rows(value), text=False)


def _json_rows(values: list[JsonValue]) -> RawRows:
    for number, value in enumerate(values, 1):
        if isinstance(value, dict):
            yield RawRow(number, value)
        else:
            yield BrokenRow(number, f"is {_article(value)}, not an object")


def _table(
    stream: BinaryIO,
    source: ir.DataSource,
    unit: Literal["line", "row"],
    columns: tuple[str, ...] | None,
    rows: RawRows,
    *,
    text: bool,
) -> Table:
    position = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(position)
    return Table(source.path, unit, text, columns, rows, stream.tell, size)


def parse_json(text: str) -> JsonValue:
    """A JSON value within bounds. Raises ValueError with a reason that fits after "is not JSON: ".

    NaN, infinities, numbers that overflow, unpaired surrogates and nesting beyond MAX_DEPTH are
    refused: none of them survives being written again.
    """
    try:
        value = cast("JsonValue", _decoder.decode(text))
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise ValueError(f"{error.msg.lower()} at {place}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("an unpaired surrogate (\\ud800 to \\udfff) is no character") from None
    return value


def _depth(value: JsonValue) -> int:
    """Levels of nesting, found level by level so that no depth can exhaust the stack."""
    depth = 0
    level: list[JsonValue] = [value]
    while level:
        depth += 1
        nested: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                nested.extend(item.values())
            elif isinstance(item, list):
                nested.extend(item)
        level = nested
    return depth - 1


def _integer(digits: str) -> int:
    if len(digits) > 1000:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number too large for a float")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number JSON knows")


_decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _article(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a bool"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
