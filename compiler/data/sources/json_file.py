"""json: a list of objects in one file."""

from __future__ import annotations

from pathlib import PurePath
from typing import BinaryIO

from dspec.runtime.schema.types import JsonValue

from ... import ir
from .. import opening
from ..problem import quoted, unreadable
from ..tables import BrokenRow, RawRow, RawRows, Table, json_kind, parse_json, table_of
from .base import FileSource, SourceParameter

_DEPTH, _KEYS = 4, 1000
"""How deep, and among how many keys of one depth, a list is looked for that may have been meant."""


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
    under, whole = source.options.get("under"), value
    for key in str(under).split(".") if under else ():
        if not isinstance(value, dict) or key not in value:
            raise unreadable(f"`{name}` has nothing under `{under}`", _lists(whole, PurePath(name).name))
        value = value[key]
    if not isinstance(value, list):
        where = f" under `{under}`" if under else ""
        raise unreadable(
            f"`{name}` holds {json_kind(value)}{where}, not a list of objects",
            _lists(whole, PurePath(name).name) or "write `[{…}, {…}]`, or use jsonl: one object per line",
        )
    return table_of(stream, source, "row", None, _json_rows(value), text=False)


def _lists(value: JsonValue, name: str) -> str:
    """What to write for the rows under a key, or a key within that, where there is one that holds a list; the nearest."""
    level: list[tuple[str, JsonValue]] = [("", value)]
    for _ in range(_DEPTH):
        level = [
            (f"{path}.{key}" if path else key, held)
            for path, inner in level
            if isinstance(inner, dict)
            for key, held in inner.items()
            if "." not in key
        ][:_KEYS]
        found = next((path for path, held in level if isinstance(held, list)), None)
        if found is not None:
            return f'rows under the key `{found}`: `json("{name}", under = {quoted(found)})`'
    return ""


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
