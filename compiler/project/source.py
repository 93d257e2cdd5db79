"""Source files and places in them.

Reading is the untrusted border: a source is a regular UTF-8 file of bounded size inside the
project's root. Everything behind it works on text that is already in memory.
"""

from __future__ import annotations

import bisect
import re
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct

MAX_SOURCE_BYTES = 4 << 20
_IN_WORD = re.compile(r"\w")


class Position(NamedTuple):
    """Line and column, both from 1; columns count code points."""

    line: int
    column: int


class Source:
    """A file's text. `path` is absolute; `name` is how messages call it.

    The text is the newest: where files are edited (`Files`), places in the file move along with it.
    """

    __slots__ = ("_said", "_starts", "name", "path", "searches", "text")

    def __init__(self, path: Path, name: str, text: str) -> None:
        self.path, self.name, self.text = path, name, text
        self.searches = 0
        """How often somebody looked through the whole text: what came of it depends on every declaration."""
        self._starts: list[int] | None = None
        self._said: dict[str, int] = {}

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Source)
            and (self.path, self.name, self.text) == (other.path, other.name, other.text)
        )

    def __hash__(self) -> int:
        return hash(self.path)

    def become(self, text: str) -> None:
        """Have another text from now on."""
        self.text, self._starts, self._said = text, None, {}

    def says(self, name: str) -> int:
        """How often the text says a name. A plain search finds it, so that a long file takes no time, and once for all who
        ask."""
        self.searches += 1
        if name not in self._said:
            text, found, at = self.text, 0, -1
            while name and (at := text.find(name, at + 1)) >= 0:
                end = at + len(name)
                found += not _IN_WORD.search(text[max(0, at - 1) : at] + " " + text[end : end + 1])
            self._said[name] = found
        return self._said[name]

    @property
    def starts(self) -> list[int]:
        """The offset of every line's first character."""
        if self._starts is None:
            lengths = (len(line) + 1 for line in self.text.split("\n")[:-1])
            self._starts = [0, *accumulate(lengths)]
        return self._starts

    def position(self, offset: int) -> Position:
        line = bisect.bisect_right(self.starts, offset) - 1
        return Position(line + 1, offset - self.starts[line] + 1)

    def line(self, number: int) -> str:
        """Text of a line (from 1) without its line ending."""
        start = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def start_of(self, number: int) -> int:
        """Offset of a line's (from 1) first character."""
        return self.starts[number - 1]

    @property
    def line_count(self) -> int:
        return len(self.starts)


class Anchor(Protocol):
    """Something in a file that places count from. An edit above moves it, and with it every place."""

    @property
    def start(self) -> int: ...


class Location(Struct, frozen=True, eq=False):
    """A half-open range of code points in a file, counted from its start or from a declaration (`anchor`)."""

    source: Source
    first: int
    last: int
    anchor: Anchor | None = None

    @property
    def start(self) -> int:
        """The offset of its first character in the file as it is now."""
        return self.first if self.anchor is None else self.anchor.start + self.first

    @property
    def end(self) -> int:
        return self.last if self.anchor is None else self.anchor.start + self.last

    @property
    def text(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]

    @property
    def told(self) -> str:
        """File and line, as messages of a run name it."""
        return f"{self.source.name}:{self.source.position(self.start).line}"

    def near(self, start: int, end: int) -> Location:
        """Another range of the same file, which moves along with this one."""
        base = 0 if self.anchor is None else self.anchor.start
        return Location(self.source, start - base, end - base, self.anchor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and (
            (self.start, self.end) == (other.start, other.end) and self.source == other.source
        )

    def __hash__(self) -> int:
        return hash((self.start, self.end))
