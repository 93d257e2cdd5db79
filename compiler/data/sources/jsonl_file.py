"""jsonl: one JSON object per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from operator import itemgetter
from typing import BinaryIO, cast

import msgspec

from dspec.runtime.schema.types import JsonValue

from ... import ir
from .. import opening
from ..tables import MAX_DEPTH, Batch, BrokenRow, RawRow, Table, json_kind, parse_json, table_of
from .base import FileSource, SourceParameter

_DIGITS = re.compile(rb"[0-9]{1001}")
"""Longer numbers are refused: see `parse_json`."""
_decoder = msgspec.json.Decoder()


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    lines = enumerate(opening.TextLines(stream, source.path), 1)
    rows = (row for number, line in lines if (row := _row(number, line)) is not None)

    def batches(most: int) -> Iterator[Batch]:
        return _batches(stream, source.path, most)

    return table_of(stream, source, "line", None, rows, text=False, batches=batches)


def _row(number: int, line: str) -> RawRow | BrokenRow | None:
    if line.isspace():
        return None
    try:
        value = parse_json(line)
    except ValueError as error:
        return BrokenRow(number, f"is not JSON: {error}")
    if isinstance(value, dict):
        return RawRow(number, value)
    return BrokenRow(number, f"holds {json_kind(value)}, not an object")


def _batches(stream: BinaryIO, name: str, most: int) -> Iterator[Batch]:
    number = 0
    for block in opening.blocks(stream):
        objects = _objects(block, first=number == 0)
        if objects is None or len(objects) > most:
            lines = enumerate(BytesIO(block), number + 1)
            each = (_row(place, opening.decoded(line, place, name)) for place, line in lines)
            rows = list(islice((row for row in each if row is not None), most))
            found = Batch(len(rows), lambda rows=rows: rows)
        else:
            found = _batch(objects, range(number + 1, number + 1 + len(objects)))
        number += block.count(b"\n")
        most -= found.count
        if found.count:
            yield found
        if most <= 0:
            return


def _batch(objects: list[dict[str, JsonValue]], numbers: range) -> Batch:
    def each() -> list[RawRow | BrokenRow]:
        return list(map(RawRow, numbers, objects))

    shapes = tuple(dict.fromkeys(map(tuple, objects)))
    return Batch(len(objects), each, numbers, shapes, lambda name: list(map(itemgetter(name), objects)))


def _objects(block: bytes, *, first: bool) -> list[dict[str, JsonValue]] | None:
    """The objects of a block, one on each of its lines; None where any line is anything else, or might be refused.

    msgspec reads what it takes to the same values as `parse_json`, many times as fast. It does not mind where lines end:
    but where each begins an object and ends one, an end of a line is no place within an object.
    """
    if first:
        block = opening.without_bom(block)
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    block = block.removesuffix(b"\n")
    lines = block.split(b"\n")
    count = len(lines)
    if (
        not block.startswith(b"{")
        or not block.endswith(b"}")
        or block.count(b"}\n{") != count - 1
        or (block.count(b"{") + block.count(b"[") > count and max(map(_openings, lines)) > MAX_DEPTH)
        or (max(map(len, lines)) > 1000 and _DIGITS.search(block))
    ):
        return None
    try:
        found = cast("list[dict[str, JsonValue]]", _decoder.decode_lines(block))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if len(found) == count and set(map(type, found)) == {dict} else None


def _openings(line: bytes) -> int:
    return line.count(b"{") + line.count(b"[")


SOURCE = FileSource(
    name="jsonl",
    doc="One JSON object per line.",
    parameters=(SourceParameter("path", "path", required=True),),
    read=_read,
)
