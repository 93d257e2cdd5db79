"""Untrusted text on a terminal: what may be shown, and how many columns it takes.

Nothing that reaches a terminal from a file may command it: control characters, bidirectional
overrides and lone surrogates become visible escapes. Widths follow Unicode's East Asian Width (UAX #11):
wide and fullwidth take two columns, marks and joiners none, an emoji sequence two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

TAB = 4
"""Columns between tab stops."""

_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_ZERO_WIDTH_KEPT = {_JOINER, "\u200c"}
"""Format characters that change how their neighbours look and nothing else."""


class Cell(NamedTuple):
    """What is drawn for one character, and its columns; `escaped` when it is not the character."""

    glyph: str
    width: int
    escaped: bool = False


def cells(text: str, *, unicode: bool) -> Iterator[Cell]:
    """One cell for each character of a line; tabs reach to the next stop, counted from the start."""
    column = 0
    last = 0
    before = ""
    for character in text:
        if character == "\t":
            cell = Cell(" " * (TAB - column % TAB), TAB - column % TAB)
        else:
            cell = _cell(character, unicode)
            joined = before == _JOINER or ord(character) in _SKIN_TONES
            if joined and last == 2 and cell.width == 2:
                cell = Cell(character, 0)
            elif character == _EMOJI_STYLE and last == 1 and not before.isascii() and not cell.escaped:
                cell = Cell(character, 1)
        column += cell.width
        last = cell.width or last
        before = character
        yield cell


@lru_cache(maxsize=4096)
def _cell(character: str, unicode: bool) -> Cell:
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return Cell(character, 1)
    if unicode and (code < 0x20 or code == 0x7F):
        return Cell(chr(0x2421 if code == 0x7F else 0x2400 + code), 1, True)
    category = unicodedata.category(character)
    hidden = category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in _ZERO_WIDTH_KEPT)
    if hidden or not unicode:
        glyph = _escape(code)
        return Cell(glyph, len(glyph), True)
    if category in ("Mn", "Me", "Cf"):
        return Cell(character, 0)
    return Cell(character, 2 if unicodedata.east_asian_width(character) in "WF" else 1)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str, *, unicode: bool = True) -> str:
    """One line of text without anything that commands a terminal; ASCII only without `unicode`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(cell.glyph for cell in cells(text, unicode=unicode))


def width(text: str) -> int:
    """Columns of a text that is already safe."""
    return len(text) if text.isascii() else sum(cell.width for cell in cells(text, unicode=True))


def wrap(text: str, columns: int) -> list[str]:
    """A safe text in lines of at most `columns`, broken at spaces; a longer word stands alone."""
    lines: list[str] = []
    line, used = "", 0
    for word in text.rstrip(" ").split(" "):
        size = width(word)
        if line and used + 1 + size > columns:
            lines.append(line)
            line, used = word, size
        else:
            line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
    return [*lines, line]
