"""`dspc cache`: what the project's answers take up, and what to do with them."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, fail, print_json, stderr, stdout

cache = typer.Typer(
    name="cache",
    help="Look after the model answers that the project keeps.",
    no_args_is_help=True,
)

WhereOption = Annotated[
    Path, typer.Option("--project", help="Any file or folder of the project.", show_default="here")
]


def ledger_of(where: Path) -> Path:
    """The ledger of the project that `where` is in."""
    from ..state import project_root, state_folder

    return state_folder(project_root(where / "any.dspec" if where.is_dir() else where)) / "ledger.sqlite"


@cache.command()
def info(
    where: WhereOption = Path(),
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say how many answers are kept, of which models, and how much room they take."""
    from dspec.runtime.ledger_upkeep import contents

    path = ledger_of(where)
    found = contents(path)
    if json:
        print_json(jsonlib.dumps({"path": str(path), **asdict(found)}, indent=2))
        return
    console = stdout()
    console.print(f"{path}: {found.answers:,} answers, {found.bytes / 1024 / 1024:.1f} MB", markup=False)
    if found.oldest is not None and found.newest is not None:
        console.print(f"from {day(found.oldest)} to {day(found.newest)}")
    for model, count in found.models.items():
        console.print(f"  {count:>9,}  {model}", markup=False)


@cache.command()
def prune(
    where: WhereOption = Path(),
    older_than: Annotated[
        float | None, typer.Option(min=0.0, help="Only answers older than so many days.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only answers of this model.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All answers.")] = False,
) -> None:
    """Drop answers; a compile that needs them asks, and pays, again."""
    from dspec.runtime.ledger_upkeep import prune as drop

    from ..store import forget

    if not everything and older_than is None and model is None:
        fail("which answers?", help="give --older-than, --model or --all", code=Exit.USAGE)
    path = ledger_of(where)
    dropped = drop(path, older_than_days=older_than, model=model)
    # Runs are remembered apart from the answers they came from; what is left of those makes them again.
    forget(path.with_name("evaluations.sqlite"))
    stdout().print(f"dropped {dropped:,} answers")


@cache.command("export")
def export_answers(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to write; a JSON object a line.", show_default=False)
    ],
    where: WhereOption = Path(),
) -> None:
    """Write the answers to a file, for `dspc cache import` elsewhere. It holds no prompt and no key."""
    from dspec.runtime.artifact import write_whole
    from dspec.runtime.ledger_upkeep import lines

    texts = list(lines(ledger_of(where)))
    try:
        write_whole(file, "".join(texts).encode())
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    stderr().print(f"wrote {len(texts):,} answers to {file}", markup=False)


@cache.command("import")
def import_answers(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `dspc cache export` wrote.", show_default=False)
    ],
    where: WhereOption = Path(),
) -> None:
    """Take in the answers of a file. Those that are there already stay; import only what you trust."""
    from dspec.runtime.ledger_upkeep import add

    try:
        with file.open(encoding="utf-8", errors="replace") as given:
            taken = add(ledger_of(where), given)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror or error}", code=Exit.USAGE)
    stdout().print(f"took in {taken.added:,} answers; {taken.known:,} were there already")
    if taken.refused:
        fail(f"{taken.refused:,} lines of {file} hold no answer and were left out")


def day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
