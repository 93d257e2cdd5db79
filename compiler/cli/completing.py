"""Completes names of declarations in the shell, from what is typed of the command so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

_MAX_FILES = 100
"""Files that are looked at: whoever types waits."""


def names_of(keyword: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes the name of a declaration of this kind in the file, or below the folder, that stands before it."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        from dspec.grammar import parse

        from .quick import sources_at

        found: dict[str, None] = {}
        try:
            for source in sources_at([Path(context.params.get("path") or ".")])[:_MAX_FILES]:
                for block in parse(source.read_text(encoding="utf-8")).blocks:
                    declared = block.declaration
                    if declared is not None and declared.name and declared.keyword.text == keyword:
                        found[declared.name.text] = None
        except (OSError, UnicodeDecodeError):
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete
