"""Names what a terminal obeys instead of showing it."""

from __future__ import annotations

import re

CODES = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters but tabs and line ends, and overrides of the direction of reading: a pattern."""


def plain(text: str) -> str:
    """The text with each of them as its number."""
    if text.isprintable():
        return text  # most is, and a pattern takes a millisecond to compile
    return re.sub(CODES, lambda found: ascii(found[0])[1:-1], text)
