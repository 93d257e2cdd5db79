"""`dspc cache`: what the answers and fetched rows of a project take up, and what to do with them."""

from __future__ import annotations

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import asdict

from ..diagnostics.wording import plural
from .console import Exit, fail, print_json, stderr, stdout
from .sources import spared

cache = typer.Typer(
    name="cache",
    help="Look after the model answers and the fetched rows that the project keeps.",
    no_args_is_help=True,
)

WhereOption = Annotated[
    Path, typer.Option("--project", help="Any file or folder of the project.", show_default="here")
]


def root_of(where: Path) -> Path:
    """The root of the project that `where` is in."""
    from ..project.state import project_root

    return project_root(where / "any.dspec" if where.is_dir() else where)


def ledger_of(where: Path) -> Path:
    """Its ledger."""
    from ..project.state import state_folder

    return state_folder(root_of(where)) / "ledger.sqlite"


@cache.command()
def info(
    where: WhereOption = Path(),
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say how many answers are kept, of which models, how many fetched rows, and how much room they take."""
    from dspec.runtime.models.ledger_upkeep import contents

    from ..data.snapshots_upkeep import contents as rows_in
    from ..project.state import rows_folder

    path, root = ledger_of(where), root_of(where)
    found, fetched = contents(path), rows_in(root)
    if json:
        rows = {"path": str(rows_folder(root)), **asdict(fetched)}
        print_json(jsonlib.dumps({"path": str(path), **asdict(found), "fetched": rows}, indent=2))
        return
    console = stdout()
    console.print(
        f"{path}: {plural(found.answers, 'answer')}, {found.bytes / 1024 / 1024:.1f} MB", markup=False
    )
    if found.oldest is not None and found.newest is not None:
        console.print(f"from {day(found.oldest)} to {day(found.newest)}")
    for model, count in found.models.items():
        console.print(f"  {count:>9,}  {model}", markup=False)
    if fetched.oldest is not None and fetched.newest is not None:
        console.print(
            f"{rows_folder(root)}: {plural(fetched.rows, 'row')} of {plural(fetched.sources, 'source')}, "
            f"{fetched.bytes / 1024 / 1024:.1f} MB",
            markup=False,
        )
        console.print(f"from {day(fetched.oldest)} to {day(fetched.newest)}")


@cache.command()
def show(
    where: WhereOption = Path(),
    model: Annotated[str | None, typer.Option(help="Only answers of this model.")] = None,
    having: Annotated[str, typer.Option(help="Only answers with this text in them.")] = "",
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many, the latest first.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show answers as they came, those among them that nothing could be read out of."""
    from dspec.runtime.models.ledger_upkeep import newest

    found = newest(ledger_of(where), model=model, text=having, most=most)
    if json:
        plain = [
            {
                "key": one.key,
                "model": one.model,
                "written": one.written,
                "text": one.answer.text,
                "finish_reason": one.answer.finish_reason,
                "input_tokens": one.answer.usage.input_tokens,
                "output_tokens": one.answer.usage.output_tokens,
                "cost_usd": one.answer.cost,
            }
            for one in found
        ]
        print_json(jsonlib.dumps({"answers": plain}, indent=2, ensure_ascii=False))
        return
    console = stdout()
    for one in found:
        usage = one.answer.usage
        console.print(
            f"── {day(one.written)}  {one.model}  {one.answer.finish_reason}  {usage.input_tokens:,} + "
            f"{usage.output_tokens:,} tokens  {one.key[:12]}",
            markup=False,
        )
        console.print(one.answer.text, markup=False)


@cache.command()
def prune(
    where: WhereOption = Path(),
    older_than: Annotated[
        float | None, typer.Option(min=0.0, help="Only answers and rows older than so many days.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only answers of this model, and no rows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All answers and rows.")] = False,
) -> None:
    """Drop answers and fetched rows; a compile that needs them asks, and pays, or fetches again."""
    from dspec.runtime.models.ledger_upkeep import prune as drop

    from ..data.snapshots_upkeep import prune as drop_rows
    from ..evaluate.store import forget

    if not everything and older_than is None and model is None:
        fail("which answers?", help="give --older-than, --model or --all", code=Exit.USAGE)
    # Rows first: files that go make room for what dropping answers writes.
    if model is None:
        try:
            sources = drop_rows(root_of(where), older_than_days=older_than)
        except OSError as error:
            fail(f"fetched rows cannot be dropped: {error.strerror or error}")
        if sources:
            stdout().print(f"dropped the fetched rows of {plural(sources, 'source')}")
    path = ledger_of(where)
    pruned = drop(path, older_than_days=older_than, model=model)
    # Runs are remembered apart from the answers they came from; what is left of those makes them again.
    forget(path.with_name("evaluations.sqlite"))
    stdout().print(f"dropped {plural(pruned.answers, 'answer')}")
    if not pruned.smaller:
        stdout().print(
            f"{path} keeps its size: it takes room to be written anew; make some, and run the same command again",
            markup=False,
        )


@cache.command("export")
def export_answers(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            callback=spared,
            help="Where to write; a JSON object a line.",
            show_default=False,
        ),
    ],
    where: WhereOption = Path(),
) -> None:
    """Write the answers to a file, for `dspc cache import` elsewhere. It holds no prompt and no key."""
    from dspec.runtime.artifact.files import write_whole
    from dspec.runtime.models.ledger_upkeep import lines

    texts = list(lines(ledger_of(where)))
    try:
        write_whole(file, "".join(texts).encode())
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    stderr().print(f"wrote {plural(len(texts), 'answer')} to {file}", markup=False)


@cache.command("import")
def import_answers(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `dspc cache export` wrote.", show_default=False)
    ],
    where: WhereOption = Path(),
) -> None:
    """Take in the answers of a file. Those that are there already stay; import only what you trust."""
    from dspec.runtime.models.ledger_upkeep import add

    try:
        with file.open(encoding="utf-8", errors="replace") as given:
            taken = add(ledger_of(where), given)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror or error}", code=Exit.USAGE)
    stdout().print(f"took in {plural(taken.added, 'answer')}; {taken.known:,} were there already")
    if taken.refused:
        lines = plural(taken.refused, f"line of {file} holds", f"lines of {file} hold")
        fail(f"{lines} no answer and {'was' if taken.refused == 1 else 'were'} left out")


def day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
