"""Text as the editor counts it.

The protocol's lines end at LF, CRLF or CR and at nothing else, and its columns count UTF-8, UTF-16
or UTF-32 units, whichever was agreed on. Our offsets count code points. This file is the one place
where the two meet; a document's line table is made once per version.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

Encoding = Literal["utf-8", "utf-16", "utf-32"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

_LINE_END = re.compile(r"\r\n|\r|\n")


class ClientPosition(NamedTuple):
    """Line and column as the protocol counts them, both from 0."""

    line: int
    column: int


@dataclass(frozen=True)
class Text:
    """One version of a document's text with its line table, the offsets where lines start. An edit makes the next
    version's table from this one's."""

    content: str
    encoding: Encoding = "utf-16"
    _starts: list[int] = field(default_factory=list[int], repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self._starts:
            self._starts.extend((0, *(match.end() for match in _LINE_END.finditer(self.content))))

    def offset(self, place: ClientPosition) -> int:
        """The offset of a place. Beyond a line's end means its end; beyond the text, the text's end."""
        if place.line >= len(self._starts):
            return len(self.content)
        start, end = self._line_bounds(place.line)
        line = self.content[start:end]
        if line.isascii() or self.encoding == "utf-32":
            return start + min(place.column, len(line))
        units = 0
        for index, character in enumerate(line):
            if units >= place.column:
                return start + index
            units += self._width(character)
        return end

    def place(self, offset: int) -> ClientPosition:
        """The place of an offset; offsets beyond the text are its end."""
        offset = max(0, min(offset, len(self.content)))
        line = bisect.bisect_right(self._starts, offset) - 1
        before = self.content[self._starts[line] : offset]
        if before.isascii() or self.encoding == "utf-32":
            return ClientPosition(line, len(before))
        return ClientPosition(line, sum(self._width(character) for character in before))

    def edited(self, start: ClientPosition, end: ClientPosition, replacement: str) -> Text:
        """The next version, with the text between two places replaced."""
        first, last = sorted((self.offset(start), self.offset(end)))
        content = self.content[:first] + replacement + self.content[last:]
        distance = len(replacement) - (last - first)
        # Two characters end a line at most, so lines that end well before the edit do so still, and those behind it, too.
        before = bisect.bisect_left(self._starts, first)
        behind = bisect.bisect_right(self._starts, last + 1)
        around = self._starts[max(0, before - 1)]
        until = self._starts[behind] + distance if behind < len(self._starts) else len(content)
        between = [match.end() for match in _LINE_END.finditer(content, around, until)]
        starts = self._starts[: max(1, before)]
        starts += between
        if distance:
            starts += [start + distance for start in self._starts[behind + 1 :]]
        else:
            starts += self._starts[behind + 1 :]
        return Text(content, self.encoding, starts)

    def _line_bounds(self, line: int) -> tuple[int, int]:
        start = self._starts[line]
        if line + 1 == len(self._starts):
            return start, len(self.content)
        end = self._starts[line + 1] - 1
        if end > start and self.content[end - 1 : end + 1] == "\r\n":
            end -= 1
        return start, end

    def _width(self, character: str) -> int:
        point = ord(character)
        if self.encoding == "utf-16":
            return 2 if point > 0xFFFF else 1
        return 1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4
