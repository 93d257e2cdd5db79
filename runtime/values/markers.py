"""Escaping of section headers inside values.

Every `[[ ##` in a text gets a backslash in front, so a header never appears inside a value, wherever
its lines end; `unescape` takes exactly that backslash away again. In JSON its first bracket is JSON's own escape, so that
the JSON stays what it is. All are linear in the text.
"""

from __future__ import annotations

import re

from ..schema.types import JsonValue
from .values import shown

_OPENING = re.compile(r"\[\[\s*+##")
_ESCAPED = re.compile(r"\\(\[\[\s*+##)")


def escape(text: str) -> str:
    return _OPENING.sub(lambda match: "\\" + match[0], text) if "[[" in text else text


def escape_json(text: str) -> str:
    """For JSON, where `[[ ##` stands in strings alone."""
    return _OPENING.sub(lambda match: "\\u005b" + match[0][1:], text) if "[[" in text else text


def written(value: JsonValue) -> str:
    """A value as it stands in a section; none of its own lines is a header."""
    return escape(value) if isinstance(value, str) else escape_json(shown(value))


def unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: match[1], text) if "\\[[" in text else text
