"""`dspc init`: a project that compiles, offline and free, from the first minute."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, fail, stdout


class Template(StrEnum):
    classifier = "classifier"
    pipeline = "pipeline"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to put it; made if absent.")
    ] = Path(),
    template: Annotated[
        Template, typer.Option(help="classifier: one step; pipeline: two steps.")
    ] = Template.classifier,
) -> None:
    """Start a project that compiles at once, offline and without a key."""
    origin = files("dspec.compiler.cli") / "templates" / template.value
    planned = list(walk(origin, folder))
    if taken := [target for _, target in planned if target.exists()]:
        fail(
            f"{taken[0]} is already there; nothing was written",
            help="name another folder: dspc init my-project",
            code=Exit.USAGE,
        )
    written: list[Path] = []
    try:
        for source, target in planned:
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            written.append(target)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        # All of a project or none of it, so that the command can be given again.
        for target in written:
            with suppress(OSError):
                target.unlink()
        reason = "it is not a folder" if folder.is_file() else error.strerror or error
        fail(
            f"no project can be put into {folder}: {reason}",
            help="name another folder: dspc init my-project",
            code=Exit.USAGE,
        )
    console = stdout()
    for _, target in planned:
        console.print(f"wrote {target}", markup=False)
    main = folder / "main.dspec"
    console.print(f"\nNext: dspc check {main} · dspc plan {main} · dspc compile {main}", markup=False)


def walk(source: Traversable, target: Path) -> list[tuple[Traversable, Path]]:
    """Every file below `source` with the path it gets below `target`, sorted."""
    pairs: list[tuple[Traversable, Path]] = []
    for entry in sorted(source.iterdir(), key=lambda e: e.name):
        place = target / entry.name
        pairs.extend(walk(entry, place) if entry.is_dir() else [(entry, place)])
    return pairs
