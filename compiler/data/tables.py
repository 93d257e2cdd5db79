"""Raw rows, as every source of rows gives them: nothing is typed yet.

A table is read once, lazily, in file order. A row that cannot be read is a `BrokenRow`, so that one
bad line does not hide the others; a file that cannot be read at all raises `DataError`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Literal, NoReturn, cast

from msgspec import Struct

from dspec.runtime.schema.types import JsonValue

from .. import ir
from . import opening

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


class Batch(Struct, frozen=True):
    """Some rows that follow each other, `each()` of them as `Table.rows` would give it.

    `shapes` are the names that rows have, each of them once, in the order in which they come. `column` gives the cells of a
    name that is in all of them; it is None where some rows are broken, which have to be looked at one by one.
    """

    count: int
    each: Callable[[], Sequence[RawRow | BrokenRow]]
    numbers: Sequence[int] = ()
    shapes: Sequence[Sequence[str]] = ()
    column: Callable[[str], Sequence[JsonValue]] | None = None


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
    batches: Callable[[int], Iterator[Batch]] | None = None
    """The first so many of `rows` by the thousand, which costs a fraction. Reads ahead of what is taken: whoever takes these
    takes none of `rows`, and `consumed` tells nothing."""


def table_of(
    stream: BinaryIO,
    source: ir.DataSource,
    unit: Literal["line", "row"],
    columns: tuple[str, ...] | None,
    rows: RawRows,
    *,
    text: bool,
    batches: Callable[[int], Iterator[Batch]] | None = None,
) -> Table:
    position = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(position)
    return Table(source.path, unit, text, columns, rows, stream.tell, size, batches)


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
        raise ValueError(f"{error.msg.lower().removesuffix(' at')} at {place}") from None
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


def json_kind(value: JsonValue) -> str:
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


def count_lines(stream: BinaryIO, *, quotes: bool = False) -> int:
    """Lines of a file without the blank ones, and with `quotes` without those that end inside a quoted cell."""
    count = 0
    inside = False
    at_start = True
    while chunk := stream.read(1 << 20):
        if quotes and (inside or b'"' in chunk):
            chunk, inside = _without_quoted(chunk, inside)
        chunk = chunk.replace(b"\r", b"")
        if not chunk:
            continue
        blank = sum(len(run) - 1 for run in _BLANK.findall(chunk)) if b"\n\n" in chunk else 0
        count += chunk.count(b"\n") - blank - (at_start and chunk.startswith(b"\n"))
        at_start = chunk.endswith(b"\n")
    return count + (not at_start)


_BLANK = re.compile(rb"\n{2,}")


def _without_quoted(chunk: bytes, inside: bool) -> tuple[bytes, bool]:
    """The chunk with one `x` for every quoted stretch, and whether it ends inside one."""
    pieces = chunk.split(b'"')
    ends_inside = inside ^ (len(pieces) % 2 == 0)
    text = b"x".join(pieces[inside::2])
    return b"x" * inside + text + b"x" * ends_inside, ends_inside
