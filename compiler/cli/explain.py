"""`dspc explain`: the long text behind a code."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .console import Exit, fail, stdout


def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="A code such as DS0201; all of them if left out.")
    ] = None,
) -> None:
    """Explain a diagnostic code, with a wrong and a right example."""
    from ..diagnostics.codes.table import CODES

    console = stdout()
    if code is None:
        for name, entry in sorted(CODES.items()):
            console.print(Text.assemble((name, "bold"), f"  {entry.severity:<8} {entry.title}"))
        return
    entry = CODES.get(code.upper())
    if entry is None:
        fail(f"there is no code {code}", help="`dspc explain` lists them all", code=Exit.USAGE)
    console.print(
        Text.assemble((f"{code.upper()} ", "bold"), (f"({entry.severity}) ", "dim"), (entry.title, "bold"))
    )
    console.print(f"\n{entry.explanation.strip()}\n")
    for title, snippet in (("wrong", entry.wrong), ("right", entry.right)):
        if not snippet.strip():
            continue
        console.print(Text(f"{title}:", "bold red" if title == "wrong" else "bold green"))
        if console.is_terminal:
            from rich.syntax import Syntax

            console.print(Syntax(snippet.strip(), "terraform", background_color="default"))
        else:
            console.print(snippet.strip(), markup=False)
        console.print()
