"""Diagnostics as JSON, for scripts. The shape is stable; `version` grows when it is not.

    {"version": 1,
     "diagnostics": [{
        "code": "DS0402", "severity": "error" | "warning" | "hint", "title": "…", "message": "…",
        "primary": PLACE, "secondary": [PLACE, …], "notes": ["…"], "help": "…",
        "fixes": [{"title": "…", "applicability": "machine" | "maybe",
                   "edits": [{"file": …, "start": …, "end": …, "replacement": "…"}]}],
        "docs": "dspc explain DS0402", "fingerprint": "…"}],
     "counts": {"error": 1, "warning": 0, "hint": 0}}

    PLACE = {"file": "qa.dspec", "start": POINT, "end": POINT, "text": "…"}
    POINT = {"line": 1, "column": 1, "offset": 0}

Ranges are half-open. Lines and columns count from 1, offsets from 0, both in code points. The text is
ASCII, other characters as `\\u` escapes, so that no terminal or log can be fooled by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...project.source import Location, Position
from ..record import Diagnostic, Fix, Label
from .places import fingerprints, range_of

if TYPE_CHECKING:
    from dspec.runtime.schema.types import JsonValue

VERSION = 1


def to_json(diagnostics: Sequence[Diagnostic]) -> str:
    """The report as indented JSON text without a line end at its end."""
    counts: dict[str, JsonValue] = {
        severity: sum(d.severity == severity for d in diagnostics)
        for severity in ("error", "warning", "hint")
    }
    items: list[JsonValue] = [
        _diagnostic(diagnostic, fingerprint)
        for diagnostic, fingerprint in zip(diagnostics, fingerprints(diagnostics), strict=True)
    ]
    return json.dumps({"version": VERSION, "diagnostics": items, "counts": counts}, indent=2)


def _diagnostic(diagnostic: Diagnostic, fingerprint: str) -> JsonValue:
    from ..codes.table import CODES  # most reports are empty

    code = CODES.get(diagnostic.code)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "title": code.title if code else "",
        "message": diagnostic.message,
        "primary": _label(diagnostic.primary),
        "secondary": [_label(label) for label in diagnostic.secondary],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fixes": [_fix(fix) for fix in diagnostic.fixes],
        "docs": f"dspc explain {diagnostic.code}",
        "fingerprint": fingerprint,
    }


def _label(label: Label) -> JsonValue:
    return {**_place(label.location), "text": label.text}


def _fix(fix: Fix) -> JsonValue:
    edits: list[JsonValue] = [
        {**_place(edit.location), "replacement": edit.replacement} for edit in fix.edits
    ]
    return {"title": fix.title, "applicability": fix.applicability, "edits": edits}


def _place(location: Location) -> dict[str, JsonValue]:
    place = range_of(location)
    return {
        "file": location.source.name,
        "start": _point(place.start, place.start_offset),
        "end": _point(place.end, place.end_offset),
    }


def _point(position: Position, offset: int) -> JsonValue:
    return {"line": position.line, "column": position.column, "offset": offset}
