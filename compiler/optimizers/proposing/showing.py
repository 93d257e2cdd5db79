"""Rows and demos as a proposer sees them: JSON objects, one a line, within a bound."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dspec.runtime.schema.program import Predictor
from dspec.runtime.schema.types import JsonValue, Row

from ..demos import labelled

if TYPE_CHECKING:
    from ...data.rows import Rows

MAX_ROWS = 40
MAX_CHARACTERS = 10_000
"""Characters of all rows together."""
MAX_VALUE = 500
"""Characters of one value; the rest is left out and marked."""


def shown(rows: Iterable[Row]) -> str:
    """As many of the rows as fit; empty when there are none."""
    lines: list[str] = []
    room = MAX_CHARACTERS
    for row in rows:
        line = json.dumps({name: _short(value) for name, value in row.items()}, ensure_ascii=False)
        room -= len(line) + 1
        if len(lines) == MAX_ROWS or (room < 0 and lines):
            break
        lines.append(line[:MAX_CHARACTERS])
    return "\n".join(lines)


def rows_for(predictor: Predictor, rows: Rows) -> list[Row]:
    """What the rows show of one predictor; whole rows where they show nothing of it."""
    demos = [labelled(predictor, row) for row in rows]
    own: list[Row] = [demo.inputs | demo.outputs for demo in demos if demo is not None]
    return own or [row.row for row in rows]


def demos_of(predictor: Predictor, limit: int) -> list[Row]:
    """The first demos that a teacher made for the predictor, as rows."""
    made: Sequence[Row] = [demo.inputs | demo.outputs for demo in predictor.demos if demo.augmented]
    return list(made[:limit])


def _short(value: JsonValue) -> JsonValue:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= MAX_VALUE:
        return value
    return f"{text[:MAX_VALUE]} …"
