"""The pages of the documentation as a reader has them: words, and fenced blocks that are there to be tried."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
USER_PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[a-z ]+: [^\n]+) -->\n+)?^```(?P<language>[a-z]*)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$",
    re.M | re.S,
)
"""A block, the name of the file that it is (```` ```sh weekly.sh ````), and the comment right before it that says what a reader
cannot see: `<!-- not run: why -->`."""


class Block(NamedTuple):
    page: Path
    line: int
    """Of its first line."""
    language: str
    text: str
    mark: str
    """`not run: why`, or nothing."""
    file: str
    """Its name, where it is a file beside others of the page."""

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each command in a block for a terminal; what follows a `#` is for readers."""
        for line in self.text.splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text[: found.start("text")].count("\n") + 1,
            found["language"],
            found["text"],
            found["mark"] or "",
            found["file"] or "",
        )
        for found in FENCE.finditer(text)
    ]
