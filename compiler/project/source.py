"""Source files and places in them.

Reading is the untrusted border: a source is a regular UTF-8 file of bounded size inside the
project's root. Everything behind it works on text that is already in memory.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

MAX_SOURCE_BYTES = 4 << 20


class Position(NamedTuple):
    """Line and column, both from 1; columns count code points."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """A file's text. `path` is absolute; `name` is how messages call it."""

    path: Path
    name: str
    text: str
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        object.__setattr__(self, "_starts", starts)

    def position(self, offset: int) -> Position:
        line = bisect.bisect_right(self._starts, offset) - 1
        return Position(line + 1, offset - self._starts[line] + 1)

    def line(self, number: int) -> str:
        """Text of a line (from 1) without its line ending."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def start_of(self, number: int) -> int:
        """Offset of a line's (from 1) first character."""
        return self._starts[number - 1]

    @property
    def line_count(self) -> int:
        return len(self._starts)


class Location(Struct, frozen=True):
    """A half-open range of code points in a file."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]
