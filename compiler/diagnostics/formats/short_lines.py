"""One line for each diagnostic, as compilers print them and editors parse them."""

from __future__ import annotations

from collections.abc import Sequence

from ..record import Diagnostic
from ..render.cells import safe
from .places import range_of


def short(diagnostics: Sequence[Diagnostic]) -> str:
    """`file:line:column: error[DS0101]: message`, one per line, no line end at the end."""
    return "\n".join(_line(diagnostic) for diagnostic in diagnostics)


def _line(diagnostic: Diagnostic) -> str:
    location = diagnostic.primary.location
    line, column = range_of(location).start
    place = f"{location.source.name}:{line}:{column}"
    return safe(f"{place}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}")
