"""Diagnostics as data: one record feeds the terminal, the editor, JSON and CI annotations.

A diagnostic is made by `report(code, place, …)` with the facts; severity and title come from the
table in `codes`. Nothing is printed here: `render` draws, the language server converts.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ..project.source import Location
from .codes import CODES, Severity


class Label(Struct, frozen=True):
    """A place with a few words on what is there."""

    location: Location
    text: str = ""


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

    @property
    def title(self) -> str:
        return CODES[self.code].title


def report(
    code: str,
    message: str,
    location: Location,
    label: str = "",
    *,
    secondary: tuple[Label, ...] = (),
    notes: tuple[str, ...] = (),
    help: str = "",  # noqa: A002
    fixes: tuple[Fix, ...] = (),
) -> Diagnostic:
    """A diagnostic of `code` at `location`. Raises KeyError for a code that is not in the table."""
    return Diagnostic(
        code, CODES[code].severity, message, Label(location, label), secondary, notes, help, fixes
    )


def has_errors(diagnostics: list[Diagnostic]) -> bool:
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file, place and code: the same however the checks were scheduled."""
    return sorted(
        diagnostics,
        key=lambda d: (d.primary.location.source.name, d.primary.location.start, d.code, d.message),
    )
