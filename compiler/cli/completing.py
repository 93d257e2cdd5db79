"""Completes what is typed in a shell: commands, their options, and names of declarations in the file that is named.

The shell asks at every press of a key, so only the command that is being typed is imported, and none for the name of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

VARIABLE = "_DSPC_COMPLETE"
"""What a shell sets when it asks."""
_MAX_FILES = 100
"""Files that are looked at: whoever types waits."""


def names_of(*keywords: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes the name of a declaration of these kinds in the file, or below the folder, that stands before it."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        from dspec.grammar import parse

        from .quick import sources_at

        found: dict[str, None] = {}
        try:
            for source in sources_at(
                [Path(context.params.get("path") or context.params.get("target") or ".")]
            )[:_MAX_FILES]:
                for block in parse(source.read_text(encoding="utf-8")).blocks:
                    declared = block.declaration
                    if declared is not None and declared.name and declared.keyword.text in keywords:
                        found[declared.name.text] = None
        except (OSError, UnicodeDecodeError):
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete


ProgramNameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Of a .dspec file: the module or program.",
        autocompletion=names_of("module", "program"),
    ),
]
OptimizeNameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="The optimize block, if there are several.",
        autocompletion=names_of("optimize"),
    ),
]


def typed(environment: Mapping[str, str]) -> list[str]:
    """The words that a shell asks about, `dspc` and the one that is being typed among them."""
    if "COMP_WORDS" in environment:  # bash
        return environment["COMP_WORDS"].split("\n")[: int(environment.get("COMP_CWORD") or 0) + 1]
    written = environment.get("_TYPER_COMPLETE_ARGS", "")
    words = written.split()
    return [*words, ""] if written[-1:].isspace() else words


def names_alone(names: Mapping[str, str]) -> typer.Typer:
    """A command line with these commands, of which nothing but their names is known."""
    app = typer.Typer(add_completion=True)
    app.callback()(lambda: None)
    for name in names:
        app.command(name)(lambda: None)
    return app
