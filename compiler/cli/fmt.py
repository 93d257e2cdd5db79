"""`dspc fmt`: the one style."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, print_error, print_json, stderr


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Files or folders, or - for standard input; the current folder if none."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if something would.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; print what would.")] = False,
) -> None:
    """Format .dspec files. Comments survive; a declaration that does not parse is left alone."""
    from dspec.grammar import format_text

    from ..project.files import write_text
    from ..project.loading import ImportProblem, read_text
    from ..project.state import project_root
    from .sources import find_sources

    if paths == [Path("-")]:
        before = sys.stdin.read()
        after = format_text(before)
        if diff or not check:
            print_json(unified("<stdin>", before, after) if diff else after)
        raise typer.Exit(Exit.FINDINGS if (check or diff) and before != after else Exit.OK)

    changed = unread = 0
    sources = find_sources(paths or [Path()])
    for path in sources:
        found = read_text(path, project_root(path.resolve()))
        if isinstance(found, ImportProblem):
            unread += 1
            print_error(f"{path} cannot be read: {found.reason}")
            continue
        before = found.replace("\r\n", "\n")
        after = format_text(before)
        if before == after:
            continue
        changed += 1
        if diff:
            print_json(unified(str(path), before, after))
        elif check:
            stderr().print(f"would reformat {path}")
        else:
            write_text(path, after)
            stderr().print(f"reformatted {path}")
    stderr().print(f"{len(sources)} checked, {changed} {'to change' if check or diff else 'changed'}")
    if unread or (changed and (check or diff)):
        raise typer.Exit(Exit.FINDINGS)


def unified(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (formatted)"
    )
    return "".join(lines)
