"""json: a list of objects in one file."""

from __future__ import annotations

from typing import BinaryIO

from dspec.runtime.schema.types import JsonValue

from ... import ir
from .. import opening
from ..problem import unreadable
from ..tables import BrokenRow, RawRow, RawRows, Table, json_kind, parse_json, table_of
from .base import FileSource, SourceParameter


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
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
            f"`{name}` holds {json_kind(value)}, not a list of objects",
            "write `[{…}, {…}]`, or use jsonl: one object per line",
        )
    return table_of(stream, source, "row", None, _json_rows(value), text=False)


def _json_rows(values: list[JsonValue]) -> RawRows:
    for number, value in enumerate(values, 1):
        if isinstance(value, dict):
            yield RawRow(number, value)
        else:
            yield BrokenRow(number, f"is {json_kind(value)}, not an object")


SOURCE = FileSource(
    name="json",
    doc="A JSON list of objects.",
    parameters=(SourceParameter("path", "path", required=True),),
    read=_read,
)
