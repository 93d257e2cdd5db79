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
    extractor = "extractor"
    rag = "rag"
    agent = "agent"
    judge = "judge"


_PARTS = {Template.rag: ("help",), Template.agent: ("help",)}
"""Folders that a template takes files from besides its own."""
_NAMES = {"gitignore": ".gitignore", "env.example": ".env.example", "app": "app.py"}
"""What files are called in a project: a wheel leaves hidden ones out, and none of it is a module of ours."""
_SPARED = (".gitignore", ".env.example", "README.md")
"""What a folder may have already; it stays."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to put it; made if absent.")
    ] = Path(),
    template: Annotated[
        Template,
        typer.Option(
            "--template",
            "-t",
            help="classifier: one step; pipeline: two; extractor: fields out of a text; rag: search, and answer from what is "
            "found; agent: tools; judge: one that agrees with people.",
        ),
    ] = Template.classifier,
) -> None:
    """Start a project that compiles at once, offline and without a key."""
    origin = files("dspec.compiler.cli") / "templates"
    parts = ("common", *_PARTS.get(template, ()), template.value)
    found = [pair for part in parts for pair in walk(origin / part, folder)]
    planned = [(source, target.with_name(_NAMES.get(target.name, target.name))) for source, target in found]
    kept = [target for _, target in planned if target.name in _SPARED and target.exists()]
    planned = [pair for pair in planned if pair[1] not in kept]
    if taken := [target for _, target in planned if target.exists()]:
        fail(
            f"{taken[0]} is already there; nothing was written",
            help="name another folder: dspc init my-project",
            code=Exit.USAGE,
        )
    written: list[Path] = []
    made: list[Path] = []
    try:
        for source, target in planned:
            made += [one for one in (target.parent, *target.parent.parents) if not one.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            written.append(target)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        # All of a project or none of it, so that the command can be given again.
        for target in written:
            with suppress(OSError):
                target.unlink()
        for one in sorted(made, key=lambda one: -len(one.parts)):
            with suppress(OSError):
                one.rmdir()
        reason = "it is not a folder" if folder.is_file() else error.strerror or error
        fail(
            f"no project can be put into {folder}: {reason}",
            help="make room there, or name another folder: dspc init my-project",
            code=Exit.USAGE,
        )
    console = stdout()
    for _, target in planned:
        console.print(f"wrote {target}", markup=False)
    for target in kept:
        console.print(f"{target} stays as it was", markup=False)
    main = folder / "main.dspec"
    console.print(f"\nNext: dspc check {main} · dspc plan {main} · dspc compile {main}", markup=False)


def walk(source: Traversable, target: Path) -> list[tuple[Traversable, Path]]:
    """Every file below `source` with the path it gets below `target`, sorted."""
    pairs: list[tuple[Traversable, Path]] = []
    for entry in sorted(source.iterdir(), key=lambda e: e.name):
        place = target / entry.name
        pairs.extend(walk(entry, place) if entry.is_dir() else [(entry, place)])
    return pairs
