"""Diagnostics as data: one record feeds the terminal, the editor, JSON and CI annotations.

The words come from the findings in `codes`. Nothing is printed here: `render` draws, the language
server converts.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ..project.source import Location

Severity = Literal["error", "warning", "hint"]


class Label(Struct, frozen=True):
    """A place with a few words on what is there."""

    location: Location
    text: str = ""


def also(location: Location | None, text: str) -> tuple[Label, ...]:
    """The further label at a place that a finding may know or not."""
    return (Label(location, text),) if location else ()


class Edit(Struct, frozen=True):
    """Replace the text at `location`; an empty range inserts."""

    location: Location
    replacement: str


class Fix(Struct, frozen=True):
    """A change that resolves the diagnostic. `machine` fixes are safe to apply unseen."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Literal["machine", "maybe"] = "machine"


class Diagnostic(Struct, frozen=True):
    code: str
    severity: Severity
    message: str
    primary: Label
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    fixes: tuple[Fix, ...] = ()


def has_errors(diagnostics: list[Diagnostic]) -> bool:
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file, place and code: the same however the checks were scheduled."""
    return sorted(
        diagnostics,
        key=lambda d: (d.primary.location.source.name, d.primary.location.start, d.code, d.message),
    )
