"""Diagnostics as GitHub workflow commands, which a runner shows beside the changed lines.

A command is one line; what a file or a message holds must never end it or start another, so `%`, line
ends and, in properties, `:` and `,` are percent-encoded, and other control characters made visible.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..record import Diagnostic
from ..render.cells import safe
from .places import range_of

_COMMANDS = {"error": "error", "warning": "warning", "hint": "notice"}


def github(diagnostics: Sequence[Diagnostic]) -> str:
    """One `::error file=…::message` command per line, no line end at the end."""
    return "\n".join(_command(diagnostic) for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    location = diagnostic.primary.location
    place = range_of(location)
    properties = {"file": location.source.name, "line": str(place.start.line)}
    if place.start.line == place.end.line:
        properties["col"] = str(place.start.column)
        properties["endColumn"] = str(max(place.end.column - 1, place.start.column))
    else:
        properties["endLine"] = str(place.end.line)
    properties["title"] = f"{diagnostic.severity}[{diagnostic.code}]"
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    lines = [diagnostic.message, diagnostic.primary.text, *diagnostic.notes, diagnostic.help]
    text = _data("\n".join(line for line in lines if line))
    return f"::{_COMMANDS[diagnostic.severity]} {written}::{text}"


def _data(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "%0A".join(safe(line).replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return safe(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
