"""Tells what a check found: to people, or in one of the formats for machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from ..check.unchanged import CheckResult
from .console import Exit, drawing, print_json, say


class Format(StrEnum):
    human = "human"
    short = "short"
    json = "json"
    sarif = "sarif"
    github = "github"


def tell(sources: Sequence[Path], found: CheckResult, style: Format, *, strict: bool) -> Exit:
    """Prints it, and gives the code to leave with."""
    diagnostics = found.diagnostics
    if style is Format.human:
        _tell_people(sources, found)
    elif text := _written(found, style):
        print_json(text)
    if any(diagnostic.code == "DS0000" for diagnostic in diagnostics):
        return Exit.BUG
    failing = ("error", "warning") if strict else ("error",)
    if any(diagnostic.severity in failing for diagnostic in diagnostics):
        return Exit.FINDINGS
    return Exit.OK


def files_checked(sources: Sequence[Path]) -> str:
    return f"{len(sources)} file{'s' if len(sources) > 1 else ''} checked"


def _tell_people(sources: Sequence[Path], found: CheckResult) -> None:
    summed = "no problems"
    if found.diagnostics:
        from ..diagnostics.render import render, summary

        colour, unicode, width = drawing()
        sys.stderr.write(render(found.diagnostics, colour=colour, unicode=unicode, width=width) + "\n")
        summed = summary(found.diagnostics)
    more = f", and {found.left_out:,} more that are not shown" if found.left_out else ""
    say(f"{files_checked(sources)}: {summed}{more}")
    if found.sampled:
        say(f"of {', '.join(found.sampled)} only the first rows were checked; --deep checks them all")


def _written(found: CheckResult, style: Format) -> str:
    match style:
        case Format.json:
            from ..diagnostics.formats.json_report import to_json as write
        case Format.sarif:
            from ..diagnostics.formats.sarif_log import sarif as write
        case Format.github:
            from ..diagnostics.formats.github_annotations import github as write
        case _:
            from ..diagnostics.formats.short_lines import short as write
    return write(found.diagnostics)
