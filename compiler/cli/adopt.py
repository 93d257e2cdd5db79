"""`dspc adopt`: a program of another tool, as a `.dspec` file."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, fail, print_json, stderr

if TYPE_CHECKING:
    from ..compile.adopt.drafts import Draft


def adopt(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:NAME]",
            help="A Python file with a DSPy program, and the class or variable wanted; a promptfoo configuration (.yaml, "
            ".json); a BAML file or folder.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The .dspec file; beside the source, named like it, unless said."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")] = False,
) -> None:
    """Write a program of DSPy, promptfoo or BAML as a .dspec file, from its source alone: nothing of it runs.

    What cannot be said stands there as a comment and in the report, by line. The exit code is 0 where everything was
    taken over and the file passes `dspc check`."""
    from ..compile.adopt.adopting import adopted

    source, name = _named(target)
    draft = adopted(source, name)
    beside = source.with_suffix(".dspec") if source.is_file() else source / f"{source.resolve().name}.dspec"
    place = output or beside
    there = [one for one in (place, *(place.parent / file for file in draft.files)) if one.exists()]
    if there and not force:
        fail(
            f"{there[0]} is there already",
            help="`--output` says another place, `--force` writes over it",
            code=Exit.USAGE,
        )
    _write(draft, place)
    _report(draft, source, place, json=json)


def _named(target: str) -> tuple[Path, str | None]:
    """`module.py:Program`; a drive's letter is no file."""
    if Path(target).exists():
        return Path(target), None
    before, colon, name = target.rpartition(":")
    if colon and name and len(before) > 1:
        return Path(before), name
    return Path(target), None


def _write(draft: Draft, place: Path) -> None:
    from dspec.runtime.artifact.files import write_whole

    try:
        for name, text in draft.files.items():
            write_whole(place.parent / name, text.encode(errors="replace"))
        write_whole(place, draft.text().encode(errors="replace"))
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror or error}", code=Exit.USAGE)


def _report(draft: Draft, source: Path, place: Path, *, json: bool) -> None:
    from ..check.analysis import analyse
    from .sources import print_findings

    analysis = analyse(place)
    errors = [one for one in analysis.diagnostics if one.severity == "error"]
    lost = [one for one in draft.remarks if one.lost]
    counts = {
        kind: sum(text.startswith(f"{kind} ") for text in texts) for kind, texts in draft.sections.items()
    }
    if json:
        print_json(
            jsonlib.dumps(
                {
                    "source": str(source),
                    "written": [str(place), *(str(place.parent / name) for name in draft.files)],
                    "declared": {kind: count for kind, count in counts.items() if count},
                    "remarks": [
                        {
                            "file": one.file or source.name,
                            "line": one.line,
                            "text": one.text,
                            "lost": one.lost,
                        }
                        for one in draft.remarks
                    ],
                    "errors": [f"{one.code}: {one.message}" for one in errors],
                    "whole": not lost and not errors,
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        console = stderr()
        made = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        console.print(f"{place}: {made or 'nothing'}", markup=False)
        for name in draft.files:
            console.print(f"{place.parent / name}: rows", markup=False)
        for one in sorted(draft.remarks, key=lambda one: (one.line, one.text)):
            file = source / one.file if one.file and source.is_dir() else source
            where = f"{file}:{one.line}" if one.line else str(file)
            console.print(f"{'not taken over' if one.lost else 'note'}: {where}: {one.text}", markup=False)
        print_findings(analysis)
    if lost or errors:
        raise typer.Exit(Exit.FINDINGS)
