"""Text → blocks, one per declaration, before anything is parsed.

Two kinds of places start a block. A complete header at column 0 (`lm mini {`) always does, whatever
stands before it, so that one unclosed bracket or string never costs more than its own declaration; one
regular expression finds these. Between them, a scan that minds strings, comments and brackets finds
the rest: misspelt keywords, headers that are still being typed, declarations that are indented.
"""

from __future__ import annotations

import re

from .tokens import CONTINUING_WORDS, HEADER, PATTERN
from .tree import KEYWORDS

_CERTAIN = re.compile(rf"^{HEADER}", re.MULTILINE)
_MAX_OPENERS = 10_000
_LIKELY = re.compile(
    rf"(?:{'|'.join(word for word in KEYWORDS if word not in ('dspec', 'import'))})[ \t]++"
    rf"(?!(?:{'|'.join(CONTINUING_WORDS)})\b)[^\W\d]"
    r'|import[ \t]*+"'
    r"|dspec[ \t]++[0-9]"
)


def certain_starts(text: str) -> list[int]:
    """Offsets where a declaration starts, whatever stands before them."""
    return [match.start() for match in _CERTAIN.finditer(text)]


def starts_certainly(text: str, offset: int) -> bool:
    """Whether one of the `certain_starts` is there."""
    return _CERTAIN.match(text, offset) is not None


def inner_starts(stretch: str) -> list[int]:
    """Offsets of the blocks in a stretch of text that has no certain start but its own.

    The first block starts at the first token. Another starts at a keyword with a name at column 0. Where
    no bracket is open, one also starts at such a keyword anywhere on a line of its own or behind a block,
    and at any other word at column 0 that cannot go on with what stands before it.
    """
    starts: list[int] = []
    openers: list[str] = []
    fresh = True  # nothing but blanks since the line began or a block closed
    line_start = 0
    awaited = False  # the last token cannot end anything
    for match in PATTERN.finditer(stretch):
        kind = match.lastgroup
        if kind == "newline":
            fresh, line_start = True, match.end()
            continue
        if kind == "space":
            if not match[0].strip("\ufeff"):
                line_start = match.end()
            continue
        if kind == "comment":
            continue
        start = match.start()
        symbol = match[0] if kind == "symbol" else ""
        if not starts:
            starts.append(start)
        elif fresh and kind == "name" and (not openers or start == line_start):
            likely = _LIKELY.match(stretch, start)
            fits_nothing = start == line_start and not awaited and match[0] not in CONTINUING_WORDS
            if likely or (fits_nothing and not openers):
                starts.append(start)
                openers.clear()
        fresh = False
        awaited = bool(symbol) and symbol not in ")]}?;"
        if symbol in ("{", "(", "["):
            if len(openers) < _MAX_OPENERS:
                openers.append(symbol)
        elif symbol == "}":
            while openers and openers.pop() != "{":
                pass
            fresh = not openers
        elif openers and openers[-1] + symbol in ("()", "[]"):
            openers.pop()
    return starts
