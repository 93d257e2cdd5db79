"""Diagnostics as a SARIF 2.1.0 log (OASIS standard), which code scanning services take in.

Messages are plain text: SARIF reads `[text](n)` in one as a link and `{0}` as a placeholder, so the
brackets and braces of what users wrote are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ...project.source import Location, Source
from ..record import Diagnostic, Edit, Fix, Label
from .places import fingerprints, range_of, uri

if TYPE_CHECKING:
    from dspec.runtime.schema.types import JsonValue

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "hint": "note"}


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """The log as indented ASCII JSON, one run; columns count code points."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    index = {code: number for number, code in enumerate(codes)}
    results: list[JsonValue] = [
        _result(diagnostic, index[diagnostic.code], fingerprint)
        for diagnostic, fingerprint in zip(diagnostics, fingerprints(diagnostics), strict=True)
    ]
    run: dict[str, JsonValue] = {
        "tool": {"driver": _driver(codes)},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _driver(codes: list[str]) -> JsonValue:
    driver: dict[str, JsonValue] = {"name": "dspc", "rules": [_rule(code) for code in codes]}
    # A source tree that is not installed has no version, and a log without one is valid.
    with suppress(PackageNotFoundError):
        driver["version"] = version("dspc")
    return driver


def _rule(name: str) -> JsonValue:
    from ..codes.table import CODES  # most reports are empty

    code = CODES.get(name)
    if code is None:
        return {"id": name}
    examples = f"Wrong:\n\n{code.wrong}\n\nRight:\n\n{code.right}"
    fenced = f"Wrong:\n\n```\n{code.wrong}\n```\n\nRight:\n\n```\n{code.right}\n```"
    return {
        "id": name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.explanation},
        "help": {
            "text": f"{code.explanation}\n\n{examples}",
            "markdown": f"{code.explanation}\n\n{fenced}",
        },
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _result(diagnostic: Diagnostic, rule: int, fingerprint: str) -> JsonValue:
    lines = [diagnostic.message, diagnostic.primary.text, *diagnostic.notes, diagnostic.help]
    result: dict[str, JsonValue] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": _message("\n".join(line for line in lines if line)),
        "locations": [_location(diagnostic.primary.location)],
        "partialFingerprints": {"dspcFinding/v1": fingerprint},
    }
    if diagnostic.secondary:
        result["relatedLocations"] = [
            _related(label, number) for number, label in enumerate(diagnostic.secondary, 1)
        ]
    if diagnostic.fixes:
        result["fixes"] = [_fix(fix) for fix in dict.fromkeys(diagnostic.fixes) if fix.edits]
    return result


def _related(label: Label, number: int) -> JsonValue:
    place = {"id": number, **_location(label.location)}
    return {**place, "message": _message(label.text)} if label.text else place


def _fix(fix: Fix) -> JsonValue:
    files: dict[str, tuple[Source, list[Edit]]] = {}
    for edit in fix.edits:
        source = edit.location.source
        files.setdefault(source.name, (source, []))[1].append(edit)
    changes: list[JsonValue] = [
        {
            "artifactLocation": {"uri": uri(source)},
            "replacements": [
                {
                    "deletedRegion": _region(edit.location),
                    "insertedContent": {"text": edit.replacement},
                }
                for edit in edits
            ],
        }
        for source, edits in files.values()
    ]
    return {"description": _message(fix.title), "artifactChanges": changes}


def _location(location: Location) -> dict[str, JsonValue]:
    artifact: JsonValue = {"uri": uri(location.source)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": _region(location)}}


def _region(location: Location) -> JsonValue:
    place = range_of(location)
    return {
        "startLine": place.start.line,
        "startColumn": place.start.column,
        "endLine": place.end.line,
        "endColumn": place.end.column,
    }


def _message(text: str) -> JsonValue:
    """Plain text: a brace is doubled, a bracket gets a backslash before it (3.11.5, 3.11.6)."""
    escaped = text.replace("[", "\\[").replace("]", "\\]")
    return {"text": escaped.replace("{", "{{").replace("}", "}}")}
