"""Markdown that says what the user's texts say: nothing in them is taken for markup, and none of them is a link."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&])")
_FENCE = re.compile(r"`{3,}")
LONGEST = 2_000
"""Characters of one text that are shown."""


def plain(text: str) -> str:
    """A text of the user's, as it is, line by line."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return "  \n".join(_MARKUP.sub(r"\\\1", line.rstrip()) for line in short.strip().splitlines())


def code(text: str) -> str:
    """A piece of source within a line."""
    words = " ".join(text.split())
    marks = max((len(run) for run in re.findall(r"`+", words)), default=0)
    ticks = "`" * (marks + 1)
    return f"{ticks} {words} {ticks}" if marks else f"`{words}`"


def block(text: str, language: str = "dspec") -> str:
    """Source on lines of its own."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    longest = max((len(run) for run in _FENCE.findall(short)), default=2)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{short.strip()}\n{ticks}"


def joined(*parts: str) -> str:
    """Paragraphs; empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def without_markup(text: str) -> str:
    """What Markdown says, for an editor that shows plain text."""
    lines = [line for line in text.splitlines() if not re.fullmatch(r"`{3,}\w*", line)]
    return re.sub(r"\\([\\`*_{}\[\]()<>#+\-!|~&])", r"\1", "\n".join(lines)).replace("  \n", "\n")
