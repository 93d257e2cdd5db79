"""`dspc verify`: every hash of an artifact that can be had from here, had again.

The JSON is stable: `{"version": 1, "artifact": …, "same": bool, "checks": [{"what", "name", "state", "then", "now", "note"}]}`,
where `state` is `same`, `differs`, `absent` or `unknown`.
"""

from __future__ import annotations

import json as jsonlib
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, print_json, stdout
from .controls import plain
from .locking import looked_at, told

_WORDS = {"same": "same", "differs": "differs", "absent": "not there", "unknown": "not known"}
_COUNTED = {**_WORDS, "differs": "different"}
_STYLES = {"same": "green", "differs": "bold red", "absent": "bold red", "unknown": "yellow"}


def verify(
    target: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="An artifact (.dspc.json).", show_default=False)
    ],
    source: Annotated[
        Path | None,
        typer.Option(help="Its .dspec file; the one beside it that declares its block if left out."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What cannot be known from here fails, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Compare an artifact, its files, prompts, rows and models with what it says they were. Runs and asks nothing."""
    from rich.table import Table
    from rich.text import Text

    from .sources import find_sources

    if source is not None:
        (source,) = find_sources([source])[:1]
    found = looked_at(target, source)
    counts = Counter(one.state for one in found)
    bad = counts["differs"] + counts["absent"] + (counts["unknown"] if strict else 0)
    if json:
        checks = [
            {member: getattr(one, member) for member in ("what", "name", "state", "then", "now", "note")}
            for one in found
        ]
        print_json(
            jsonlib.dumps(
                {"version": 1, "artifact": str(target), "same": not bad, "checks": checks},
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(4):
            table.add_column(overflow="fold")
        for one in found:
            said = one.note
            if one.state == "differs":
                said = told(one).partition(": ")[2]
            style = _STYLES[one.state]
            table.add_row(Text(_WORDS[one.state], style), one.what, Text(plain(one.name)), Text(plain(said)))
        stdout().print(table)
        stdout().print(
            ", ".join(f"{counts[state]} {word}" for state, word in _COUNTED.items() if counts[state]),
            markup=False,
        )
    if bad:
        raise typer.Exit(Exit.FINDINGS)
