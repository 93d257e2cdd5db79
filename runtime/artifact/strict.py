"""Reads JSON that nobody vouches for: UTF-8, no member twice, no number that JSON does not have."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from ..errors import ArtifactError
from ..schema.types import JsonValue

REMEDY = "compile it again, or restore the file as it was written"


MAX_VALUES = 2_000_000
"""How many values and names one JSON text may have, counted by its commas, colons and brackets: an empty object takes
three bytes of the text, and a hundred and more of memory."""
VALUE_MARKS = ",:{["
_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)


def strict_json(data: bytes) -> JsonValue:
    if _has_more_values(data):
        raise ArtifactError(f"holds more than {MAX_VALUES:,} values, which no artifact does", help=REMEDY)
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_members, parse_constant=_refused, parse_float=_finite
        )
    except UnicodeDecodeError:
        raise ArtifactError("is not UTF-8 text", help=REMEDY) from None
    except json.JSONDecodeError as error:
        raise ArtifactError(f"line {error.lineno}: not JSON: {error.msg}", help=REMEDY) from None
    except RecursionError:
        raise ArtifactError("is nested too deep", help=REMEDY) from None
    except ValueError as error:
        raise ArtifactError(str(error)[:200], help=REMEDY) from None


def _has_more_values(data: bytes) -> bool:
    """Counts before any value is made. Marks inside texts are taken off only where the count is too high with them."""
    found = _values(data)
    if found <= MAX_VALUES:
        return False
    texts = data.count(b'"') // 2
    if texts > MAX_VALUES:  # each is a name or a value
        return True
    return found - sum(_values(text[0]) for text in _TEXTS.finditer(data)) > MAX_VALUES


def _values(data: bytes) -> int:
    return sum(data.count(mark.encode()) for mark in VALUE_MARKS)


def _members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the member {json.dumps(name, ensure_ascii=False)[:80]} is given twice")
            seen.add(name)
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number
