"""Locations as machine formats name them: files by relative URI, ranges by line and column.

Every format goes through here, so that a location out of its text's bounds is clamped in one place
and all formats agree on a diagnostic's fingerprint.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from ...project.source import Location, Position, Source
from ..record import Diagnostic


class TextRange(NamedTuple):
    """A half-open range: offsets count code points from 0, lines and columns from 1."""

    start: Position
    end: Position
    start_offset: int
    end_offset: int


def range_of(location: Location) -> TextRange:
    length = len(location.source.text)
    start = min(max(location.start, 0), length)
    end = min(max(location.end, start), length)
    return TextRange(location.source.position(start), location.source.position(end), start, end)


def uri(source: Source) -> str:
    """The file's name as a URI reference: `data/qa.dspec`, percent-encoded; never a scheme or host."""
    name = source.name.replace("\\", "/").encode(errors="replace").decode()
    return quote(name.lstrip("/") or "unnamed", safe="/-._~")


def fingerprints(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """One stable identity each: code, file, the labelled text and its line without its white space.

    Lines added elsewhere in the file leave it unchanged; equal findings are told apart by number.
    """
    seen: Counter[str] = Counter()
    result: list[str] = []
    for diagnostic in diagnostics:
        location = diagnostic.primary.location
        place = range_of(location)
        text = location.source.text
        line_start = place.start_offset - place.start.column + 1
        # Bounded, so that a file that is one huge line does not cost its length for every finding.
        line = text[line_start : line_start + 2000].split("\n", 1)[0]
        labelled = text[place.start_offset : min(place.end_offset, place.start_offset + 2000)]
        parts = [diagnostic.code, uri(location.source), " ".join(line.split()), " ".join(labelled.split())]
        key = "\0".join(parts)
        seen[key] += 1
        identity = f"{key}\0{seen[key]}".encode(errors="replace")
        result.append(hashlib.sha256(identity).hexdigest()[:32])
    return result
