"""Rows of data that stand in a prompt's values: JSON, `name: value` lines or sections."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ...schema.types import JsonValue
from .readings import MAX_JSON

MAX_ROWS = 500
MAX_TEXT = 200_000
MAX_DEPTH = 6

_PAIR = re.compile(
    r"^[ \t]*(?:[-*•]|\d{1,4}[.)])?[ \t]*[`*]{0,2}([A-Za-z_]\w{0,60})[`*]{0,2}[ \t]*[:=][ \t]*(\S.*)$"
)
_HEADER = re.compile(r"^[ \t\\]*\[\[[ \t]*##[ \t]*(\w{1,60})[ \t]*##[ \t]*\]\][ \t]*(.*)$")

ShownRow = dict[str, str]


def shown_rows(text: str) -> list[ShownRow]:
    """Every row that the text shows; none where it shows prose."""
    text = text[:MAX_TEXT]
    found = _from_json(text) or _from_lines(text)
    return [row for row in found if len(row) > 1][:MAX_ROWS]


def _from_json(text: str) -> list[ShownRow]:
    """One JSON value, or one a line."""
    stripped = text.strip()
    if not stripped.startswith(("[", "{")):
        return []
    whole = _loaded(stripped)
    values = whole if isinstance(whole, list) else [whole]
    if whole is None:
        values = [_loaded(line) for line in stripped.split("\n")[:MAX_ROWS] if line.strip()]
    rows: list[ShownRow] = []
    for value in values[:MAX_ROWS]:
        row: ShownRow = {}
        if isinstance(value, dict):
            _flatten(value, row, 0)
            rows.append(row)
    return rows


def _loaded(text: str) -> JsonValue:
    if len(text) > MAX_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _flatten(value: Mapping[str, JsonValue], row: ShownRow, depth: int) -> None:
    """Inner objects, such as `inputs` and `outputs`, lose their own name."""
    for name, inner in value.items():
        if isinstance(inner, dict) and depth < MAX_DEPTH:
            _flatten(inner, row, depth + 1)
        elif isinstance(inner, str | int | float):
            row.setdefault(name, inner if isinstance(inner, str) else json.dumps(inner))


def _from_lines(text: str) -> list[ShownRow]:
    """Named values in reading order; a name that comes again begins the next row."""
    rows: list[ShownRow] = [{}]
    current = ""
    for line in text.split("\n"):
        match = _HEADER.match(line) or _PAIR.match(line)
        if match:
            current = match[1]
            if current in rows[-1]:
                rows.append({})
            rows[-1][current] = match[2].strip()
        elif current and line.strip():
            rows[-1][current] = f"{rows[-1][current]} {line.strip()}".strip()
        else:
            current = ""
    return rows
