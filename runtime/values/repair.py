"""JSON in text that a model wrote: exactly, or after a bounded repair.

Every step is linear in the text, nothing recurses, and the text is capped, because answers are
untrusted. The repair mends what models get wrong (code fences, prose around the value, single quotes,
Python's literals, bare keys, comments, trailing commas, raw line breaks, a missing end); it never
invents a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

from pydantic_core import from_json

from ..schema.types import JsonValue

MAX_TEXT = 1_000_000
"""Characters; longer text is not read as JSON."""
_MAX_MENDED = 200_000
"""Characters; longer text is not repaired."""
_MAX_STARTS = 8
_MAX_DEPTH = 200


def _all(group: str) -> str:
    """`(?:group)*+`, which up to Python 3.11.2 does not give back what its last, failed round took.

    An atomic group does; in stretches, because it remembers every round until it is through.
    """
    return rf"(?>(?:(?>(?:{group}){{1,999}}))*)"


_DOUBLE = '"' + _all(r'[^"\\]++|\\.') + '"?'
_SINGLE = "'" + _all(r"[^'\\]++|\\.") + "'?"
_TOKEN = rf"""
      (?P<double>{_DOUBLE})
    | (?P<single>{_SINGLE})
    | (?P<curly>“[^”]*+”?)
    | (?P<number>-?\d[\d.eE+-]*+)
    | (?P<word>[^\W\d][\w.-]*+)
    | (?P<comment>//[^\n]*+|/\*{_all(r"[^*]++|[*](?!/)")}(?:\*/)?)
    | (?P<mark>[{{}}\[\],:])
    | (?P<space>\s++)
    | (?P<other>.)
    """
# An apostrophe opens a string only where a string may begin: prose has apostrophes of its own.
_SCAN = rf"{_DOUBLE}|(?<=[\[{{,:\s]){_SINGLE}|[{{}}\[\]]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled with the first text to repair: whoever only checks a file repairs none."""
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_WORDS = {"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}
_CLOSING = {"{": "}", "[": "]"}
_ODD = r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[\x00-\x1f\"]"
_ESCAPES = '"\\/bfnrt'


def strict_json(text: str) -> JsonValue:
    """The text as one JSON value. Raises ValueError."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters")
    return from_json(text, allow_inf_nan=False)


def json_value(text: str, opening: str = "{[") -> JsonValue:
    """The first JSON list or object in the text, repaired if need be. Raises ValueError."""
    try:
        return strict_json(text)
    except ValueError:
        pass
    for candidate in _candidates(text, opening):
        value = _mended(candidate)
        if value is not None:
            return value
    raise ValueError("no JSON found")


def whole_json(text: str) -> JsonValue:
    """The text as one JSON list or object from its first character on, repaired if need be.

    Raises ValueError, also where text follows the closing bracket: `[1] see there` is not a list.
    """
    try:
        return strict_json(text)
    except ValueError:
        pass
    if text[:1] in ("[", "{") and len(text) <= _MAX_MENDED:
        end, missing = _partner(text, 0)
        value = _mended(text + missing) if end == len(text) else None
        if value is not None:
            return value
    raise ValueError("not JSON")


def json_object(text: str, names: Collection[str]) -> dict[str, JsonValue]:
    """The named members of the first JSON object that has any of them; empty where there is none."""
    for candidate in _candidates(text, "{"):
        value = _mended(candidate)
        if isinstance(value, dict):
            found = {name: value[name] for name in names if name in value}
            if found:
                return found
    return {}


def _candidates(text: str, opening: str) -> Iterator[str]:
    """Pieces of the text that start with an opening bracket and end with its partner."""
    if len(text) > _MAX_MENDED:
        return
    position = 0
    for _ in range(_MAX_STARTS):
        starts = [start for bracket in opening if (start := text.find(bracket, position)) >= 0]
        if not starts:
            return
        start = min(starts)
        end, missing = _partner(text, start)
        if end is not None:
            yield text[start:end] + missing
        position = start + 1 if end is None or missing else end


def _partner(text: str, start: int) -> tuple[int | None, str]:
    """Where the bracket at `start` is closed, and the closing brackets that the text lacks for it.

    No place where brackets nest too deep. Only brackets are ever supplied: an answer that was cut inside
    a text stays unreadable.
    """
    open_brackets: list[str] = []
    for match in _compiled(_SCAN).finditer(text, start):
        mark = match[0]
        if mark in _CLOSING:
            open_brackets.append(_CLOSING[mark])
            if len(open_brackets) > _MAX_DEPTH:
                return None, ""
        elif mark in "}]":
            open_brackets.pop()
            if not open_brackets:
                return match.end(), ""
    return len(text), "".join(reversed(open_brackets))


def _mended(text: str) -> JsonValue:
    """The value, or None where not even a repair makes it JSON."""
    for attempt in (text, _normalised(text)):
        try:
            return from_json(attempt, allow_inf_nan=False)
        except ValueError:
            continue
    return None


def _normalised(text: str) -> str:
    """One pass over the tokens that turns what models write into JSON."""
    out: list[str] = []
    for match in _compiled(_TOKEN).finditer(text):
        kind = match.lastgroup
        piece = match[0]
        if kind == "double":
            out.append(_string(piece, '"'))
        elif kind == "single":
            out.append(_string(piece, "'"))
        elif kind == "curly":
            out.append(_string(piece, "”"))
        elif kind == "word":
            out.append(_WORDS.get(piece, f'"{piece}"'))
        elif kind == "mark":
            if piece in "}]" and out and out[-1] == ",":
                out.pop()
            out.append(piece)
        elif kind in ("number", "other"):
            out.append(piece)
    return "".join(out)


def _string(piece: str, closing: str) -> str:
    """A string in any quotes as a JSON string; one that was cut stays cut."""
    closed = len(piece) > 1 and piece.endswith(closing)
    body = piece[1:-1] if closed else piece[1:]
    return '"' + _compiled(_ODD).sub(lambda match: _as_json(match[0]), body) + ('"' if closed else "")


def _as_json(piece: str) -> str:
    """An escape or character of a string's body as JSON has it; an escape JSON lacks is a plain backslash."""
    if piece[0] != "\\":
        return '\\"' if piece == '"' else f"\\u{ord(piece):04x}"
    if piece == "\\'":
        return "'"
    if len(piece) == 4:
        return "\\u00" + piece[2:]
    return piece if piece[1:2] in _ESCAPES or len(piece) > 2 else "\\" + piece
