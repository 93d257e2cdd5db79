"""`dspc diff`: two artifacts held against each other, files or revisions of git."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import DspecError, InputError

from .console import Exit, fail, print_json, stderr, stdout

if TYPE_CHECKING:
    from dspec.runtime.artifact.artifact import Artifact

    from ..compile.reports.facts import RowTable


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="An artifact (.dspc.json), or one in git, as `HEAD~1:compiled/x.dspc.json`.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The other one; may be left out with --rev.", show_default=False),
    ] = None,
    rev: Annotated[
        str | None,
        typer.Option("--rev", metavar="REV", help="Compare A as it was in this revision with A as it is."),
    ] = None,
    breaking: Annotated[
        bool,
        typer.Option(
            "--breaking", help="Exit with 5 where inputs or outputs changed in a way that breaks callers."
        ),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            help="The .dspec file with the rows to compare on; the one that declares their block if left out."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a page to look at here, too.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Compare two artifacts: contract, scores, rows that flipped, prompts, models, cost. Asks no model."""
    from ..compile.reports.compare import comparison, facts_of

    if (after is None) == (rev is None):
        fail(
            "two artifacts are compared",
            help="name both, or one and the revision that it is compared with: `--rev HEAD~1`",
            code=Exit.USAGE,
        )
    if out is not None:
        from .report import check_page

        check_page(out)
    first, second = (f"{rev}:{before}", before) if after is None else (before, after)
    with ExitStack() as stack:
        try:
            old = stack.enter_context(_artifact(first))
            new = stack.enter_context(_artifact(second))
        except InputError as error:
            fail(error.message, help=error.help, code=Exit.USAGE)
        names = _names(first, second)
        tables, missing = _tables((first, second), source, names, old, new)
        result = comparison(names, old, new, tables, missing)
    if out is not None:
        from dspec.runtime.artifact.files import write_whole

        from ..compile.reports.page import page_of

        try:
            write_whole(
                out, page_of(facts_of(result), [*old.program.lms.values(), *new.program.lms.values()])
            )
        except OSError as error:
            fail(f"{out} cannot be written: {error.strerror or error}", code=Exit.USAGE)
        stderr().print(f"wrote {out}", markup=False)
    from . import differences

    if json:
        print_json(differences.as_json(result))
    else:
        differences.draw(stdout(), result)
    if breaking and result.breaks:
        raise typer.Exit(Exit.BREAKING)


def _names(first: str, second: str) -> tuple[str, str]:
    """What the two are called: by what tells them apart."""
    revision, colon, path = first.partition(":")
    if colon and path == second:
        return (revision, "now")
    short = (first.rpartition("/")[2], second.rpartition("/")[2])
    if short[0] == short[1]:
        return (first, second)
    return short


@contextmanager
def _artifact(operand: str) -> Generator[Artifact]:
    """The artifact of a file, or of a file in a revision where no file has that name."""
    from dspec.runtime.artifact.artifact import read_artifact

    from ..compile.reports.revisions import artifact_at

    revision, colon, path = operand.partition(":")
    if not colon or Path(operand).exists() or (len(revision) == 1 and path[:1] in ("\\", "/")):
        yield read_artifact(Path(operand), keys_given=lambda _: True)
        return
    if not Path(path).is_absolute():
        with artifact_at(revision, path, Path.cwd()) as found:
            yield found
        return
    fail(f"`{path}` is no path in a repository", help="name it from the repository's root", code=Exit.USAGE)


def _tables(
    operands: tuple[str, str], source: Path | None, names: tuple[str, str], old: Artifact, new: Artifact
) -> tuple[list[RowTable], list[str]]:
    """The rows that both can be compared on, and why there are none: those of the second one's block, or of the first one's,
    where no source declares the second's."""
    from ..compile.reports.compare import data_of, tables_of
    from .report import declares, prepared_for, source_of

    sides = [
        (Path(one if Path(one).exists() else one.partition(":")[2]), artifact.name)
        for one, artifact in zip(operands[::-1], (new, old), strict=True)
    ]
    found = [(source or source_of(file, block), file, block) for file, block in sides]
    # A source may import the block, so that the second one's is asked for where the text of it tells of none.
    path, file, block = next((one for one in found if one[0] and declares(one[0], one[2])), found[0])
    if path is None:
        files, blocks = (" or ".join(dict.fromkeys(one)) for one in zip(*map(_told, sides), strict=True))
        return [], [
            f"no .dspec file by {files} declares {blocks}: no rows to compare on; `--source` names it"
        ]
    try:
        prepared, archived = prepared_for(path, block, file.parent)

        async def look() -> list[RowTable]:
            async with archived as kept:
                return await tables_of(prepared, block, names, old.program, new.program, kept)

        missing = [
            f"the rows of {role} are not those that `{name}` was compiled on"
            for name, one in zip(names, (old, new), strict=True)
            for role, value in data_of(prepared, block).items()
            if one.provenance.data.get(role) not in (None, value)
        ]
        return asyncio.run(look()), missing
    except DspecError as error:
        return [], [f"no rows to compare on: {error.message}"]


def _told(side: tuple[Path, str]) -> tuple[str, str]:
    return str(side[0]), f"`optimize {side[1]}`"
