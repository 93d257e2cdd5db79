"""One mistake, one message: what is only a consequence of another finding is left out."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from ..project.source import Location
from . import codes
from .codes.base import Finding
from .record import Diagnostic

UNREAD = ("DS0101", "DS0109", "DS0114")
"""Text that could not be parsed."""
ABOUT_CALLS = ("DS0302", "DS0303", "DS0602")
"""Missing arguments, and too many of them: nobody knows of those in a call that could not be read."""
REACH = 400
"""Characters of an item that are looked at around a stop."""
_END = re.compile(r"[\n;}]")
_WORD = re.compile(r"[^\W\d]\w*[ \t]*\Z")


def without_echoes(said: Iterable[tuple[Finding, Diagnostic]]) -> list[Diagnostic]:
    """What is told of findings: each once, and of text that could not be parsed only that it could not.

    Where the parser stopped, the rest of the item is guesswork, and so is the word before.
    """
    pairs = list(said)
    findings = [found for found, _ in pairs]
    broken: dict[Path, _Broken] = {}
    unread = [found.where for found in findings if found.code.name in UNREAD]
    for place in sorted(unread, key=lambda place: place.start):
        broken.setdefault(place.source.path, _Broken()).add(place)
    renamed = {
        (found.where.text, name)
        for found in findings
        if isinstance(found, codes.data.ColumnMissing)
        for name in found.renamed
    }
    told: dict[Diagnostic, None] = {}
    for found, diagnostic in pairs:
        there = broken.get(found.where.source.path)
        guessed = found.code.name >= "DS0120" or found.code.name == "DS0105"
        if guessed and there is not None and there.hides(found, bool(diagnostic.fixes)):
            continue
        # The name may be right: then only the declaration of its column is wrong.
        names = {edit.replacement for fix in diagnostic.fixes for edit in fix.edits}
        if found.code.name == "DS0501" and any((name, found.where.text) in renamed for name in names):
            continue
        told[diagnostic] = None
    return list(told)


class _Broken(Struct):
    """Where the parser stopped in one file, in the order of the text, and where the items around those places end."""

    stops: list[int] = field(default_factory=list[int])
    ends: list[int] = field(default_factory=list[int])
    words: set[int] = field(default_factory=set[int])
    """Where the words before the stops begin."""
    brackets: set[int] = field(default_factory=set[int])
    """Stops at a `[`: the word before it may have been meant as a list."""
    arrows: dict[int, int] = field(default_factory=dict[int, int])
    """Stops at a `->`, each with the start of its line: words before the arrow are names."""

    def add(self, place: Location) -> None:
        text = place.source.text
        end = _END.search(text, place.end, place.end + REACH)
        self.stops.append(place.start)
        self.ends.append(max(place.start + 1, place.end, end.start() if end else place.end))
        if text.startswith("[", place.start):
            self.brackets.add(place.start)
        if text.startswith("->", place.start):
            self.arrows[place.start] = text.rfind("\n", max(0, place.start - REACH), place.start) + 1
        near = max(0, place.start - 80)
        if before := _WORD.search(text[near : place.start]):
            self.words.add(near + before.start())

    def hides(self, found: Finding, mended: bool) -> bool:
        """Whether a finding only follows from a stop. A finding that has a fix (`mended`) has understood the text."""
        place = found.where
        if place.start in self.words:
            return not mended or place.end in self.brackets
        after = bisect.bisect_right(self.stops, place.start)
        if after and place.start < self.ends[after - 1]:
            return True
        if after == len(self.stops):
            return False
        stop = self.stops[after]
        if found.code.name in ABOUT_CALLS and stop <= place.end:
            return True
        return not mended and self.arrows.get(stop, stop) <= place.start
