"""`dspc fmt`: the one style."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    from .formatting import format_files, format_input
    from .sources import find_sources

    if paths == [Path("-")]:
        code = format_input(check=check, diff=diff)
    else:
        code = format_files(find_sources(paths or [Path()]), check=check, diff=diff)
    if code:
        raise typer.Exit(code)
