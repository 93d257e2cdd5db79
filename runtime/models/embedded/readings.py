"""Typed values from the text of an example's output."""

from __future__ import annotations

import json
import math

from ...schema.types import JsonValue
from .shapes import Shape

_TRUE = frozenset(("true", "yes", "1"))
_FALSE = frozenset(("false", "no", "0"))
MAX_JSON = 100_000


def read_value(text: str, shape: Shape) -> JsonValue:
    """The value, or None where the text holds none of this shape."""
    stripped = text.strip()
    match shape.kind:
        case "text" | "date" | "datetime":
            return text
        case "label":
            return _label(stripped, shape.labels)
        case "bool":
            lowered = stripped.lower()
            return True if lowered in _TRUE else False if lowered in _FALSE else None
        case "int" | "float":
            return _number(stripped, whole=shape.kind == "int")
        case "optional":
            if shape.item is None or stripped.lower() in ("null", "none", ""):
                return None
            return read_value(text, shape.item)
        case "list" | "tuple":
            value = _json(stripped)
            return value if isinstance(value, list) else None
        case "dict" | "record" | "records":
            value = _json(stripped)
            return value if isinstance(value, dict) else None
        case "any":
            value = _json(stripped)
            return text if value is None else value


def _label(text: str, labels: tuple[str | int | float, ...]) -> JsonValue:
    bare = text.strip("\"'`").lower()
    exact = next((label for label in labels if str(label) == text), None)
    return exact if exact is not None else next((one for one in labels if str(one).lower() == bare), None)


def _number(text: str, *, whole: bool) -> JsonValue:
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        return None
    if not math.isfinite(value) or abs(value) > 1e15:
        return None
    return round(value) if whole else value


def _json(text: str) -> JsonValue:
    if len(text) > MAX_JSON:
        return None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON value")
