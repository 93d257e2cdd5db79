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
    deep: Annotated[
        bool, typer.Option("--deep", help="Read all rows of large data files, not a sample.")
    ] = False,
) -> None:
    """Check .dspec files: syntax, names, types, data, metrics, optimizer chains. Calls no model."""
    from ..analysis import analyse
    from ..data import FolderCache
    from ..diagnostics import Diagnostic, in_order
    from ..fixes import apply_fixes
    from ..formats import github, sarif, short, to_json
    from ..render import render, summary
    from ..state import checks_folder, project_root
    from .crash import with_reports
    from .sources import find_sources

    sources = find_sources(paths or [Path()])
    sampled: dict[str, None] = {}

    def findings() -> list[Diagnostic]:
        found: dict[Diagnostic, None] = {}
        for path in sources:
            analysis = analyse(path, deep=deep, cache=FolderCache(checks_folder(project_root(path))))
            found.update(dict.fromkeys(with_reports(analysis)))
            sampled.update(dict.fromkeys(analysis.sampled))
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
            if sampled:
                console.print(
                    f"of {', '.join(sampled)} only the first rows were checked; --deep checks them all"
                )
        case Format.short:
            print_json(short(diagnostics)) if diagnostics else None
        case Format.json:
            print_json(to_json(diagnostics))
        case Format.sarif:
            print_json(sarif(diagnostics))
        case Format.github:
            print_json(github(diagnostics)) if diagnostics else None
    if any(diagnostic.code == "DS0000" for diagnostic in diagnostics):
        raise typer.Exit(Exit.BUG)
    failing = ("error", "warning") if strict else ("error",)
    if any(diagnostic.severity in failing for diagnostic in diagnostics):
        raise typer.Exit(Exit.FINDINGS)
