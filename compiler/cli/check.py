"""`dspc check`: find mistakes before a cent is spent."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, print_json, stderr


class Format(StrEnum):
    human = "human"
    short = "short"
    json = "json"
    sarif = "sarif"
    github = "github"


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; the current folder if none.")
    ] = None,
    style: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.human,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the fixes that are safe unseen.")] = False,
) -> None:
    """Check .dspec files: syntax, names, types, data, metrics, optimizer chains. Calls no model."""
    from ..analysis import analyse
    from ..diagnostics import Diagnostic, in_order
    from ..fixes import apply_fixes
    from ..formats import github, sarif, short, to_json
    from ..render import render, summary
    from .sources import find_sources

    sources = find_sources(paths or [Path()])

    def findings() -> list[Diagnostic]:
        found = {diagnostic for path in sources for diagnostic in analyse(path).diagnostics}
        return in_order(list(found))

    diagnostics = findings()
    if fix and (repaired := apply_fixes(diagnostics)).count:
        repaired.write()
        stderr().print(f"applied {repaired.count} fix{'es' if repaired.count > 1 else ''}")
        diagnostics = findings()

    console = stderr()
    match style:
        case Format.human:
            if diagnostics:
                text = render(
                    diagnostics,
                    colour=console.color_system is not None,
                    unicode=not console.options.ascii_only,
                    width=console.width,
                )
                console.file.write(text + "\n")
            count = f"{len(sources)} file{'s' if len(sources) > 1 else ''}"
            console.print(f"{count} checked: {summary(diagnostics)}")
        case Format.short:
            print_json(short(diagnostics)) if diagnostics else None
        case Format.json:
            print_json(to_json(diagnostics))
        case Format.sarif:
            print_json(sarif(diagnostics))
        case Format.github:
            print_json(github(diagnostics)) if diagnostics else None
    failing = ("error", "warning") if strict else ("error",)
    if any(diagnostic.severity in failing for diagnostic in diagnostics):
        raise typer.Exit(Exit.FINDINGS)
