"""json: a list of objects in one file."""

from __future__ import annotations

from pathlib import PurePath
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
    under = source.options.get("under")
    for key in str(under).split(".") if under else ():
        if not isinstance(value, dict) or key not in value:
            raise unreadable(f"`{name}` has nothing under `{under}`", _lists(value, PurePath(name).name))
        value = value[key]
    if not isinstance(value, list):
        where = f" under `{under}`" if under else ""
        raise unreadable(
            f"`{name}` holds {json_kind(value)}{where}, not a list of objects",
            _lists(value, PurePath(name).name) or "write `[{…}, {…}]`, or use jsonl: one object per line",
        )
    return table_of(stream, source, "row", None, _json_rows(value), text=False)


def _lists(value: JsonValue, name: str) -> str:
    """What to write for the rows under a key, where there is one that holds a list."""
    found = [key for key, held in value.items() if isinstance(held, list)] if isinstance(value, dict) else []
    return f'rows under the key `{found[0]}`: `json("{name}", under = "{found[0]}")`' if found else ""


def _json_rows(values: list[JsonValue]) -> RawRows:
    for number, value in enumerate(values, 1):
        if isinstance(value, dict):
            yield RawRow(number, value)
        else:
            yield BrokenRow(number, f"is {json_kind(value)}, not an object")


SOURCE = FileSource(
    name="json",
    doc="A JSON list of objects, or an object that holds one under a key.",
    parameters=(
        SourceParameter("path", "path", required=True),
        SourceParameter(
            "under", "text", doc="The key that holds the list, `data.examples` for one within another."
        ),
    ),
    read=_read,
)
