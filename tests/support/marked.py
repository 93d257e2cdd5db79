"""Diagnostics from a text with its places marked, for tests of what is drawn.

«primary» ‹first secondary› ‹second secondary›
"""

from __future__ import annotations

from pathlib import Path

from dspec.compiler.diagnostics.record import Diagnostic, Fix, Label, Severity
from dspec.compiler.project.source import Location, Source

_OPENING, _CLOSING = "«‹", "»›"


def source_of(text: str, name: str = "qa.dspec") -> Source:
    return Source(Path("/project") / name, name, text)


def marked(text: str, name: str = "qa.dspec") -> tuple[Location, list[Location]]:
    """The primary place and the others, in order of their opening marks; marks are taken out."""
    plain: list[str] = []
    open_places: list[tuple[int, int, bool]] = []
    closed: list[tuple[int, int, int, bool]] = []
    opened = 0
    for character in text:
        if character in _OPENING:
            open_places.append((opened, len(plain), character == "«"))
            opened += 1
        elif character in _CLOSING:
            number, start, primary = open_places.pop()
            closed.append((number, start, len(plain), primary))
        else:
            plain.append(character)
    source = source_of("".join(plain), name)
    places = [(Location(source, start, end), primary) for _, start, end, primary in sorted(closed)]
    (first,) = [place for place, primary in places if primary]
    return first, [place for place, primary in places if not primary]


def diagnostic(
    text: str,
    label: str = "",
    *others: str,
    message: str = "`auto` and `num_candidates` cannot be combined",
    severity: Severity = "error",
    notes: tuple[str, ...] = (),
    help: str = "",  # noqa: A002
    fixes: tuple[Fix, ...] = (),
    name: str = "qa.dspec",
) -> Diagnostic:
    """A DS0603 with `label` at the primary place and `others` at the secondary ones."""
    primary, places = marked(text, name)
    secondary = tuple(Label(place, words) for place, words in zip(places, others, strict=True))
    return Diagnostic("DS0603", severity, message, Label(primary, label), secondary, notes, help, fixes)
