"""`dspc report`: one HTML page of what a compile did, made of what is kept, without a call of a model."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .completing import names_of
from .console import Exit, fail, stdout

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from dspec.runtime.artifact.artifact import Artifact

    from ..check.analysis import Analysis
    from ..compile.prepared import Prepared
    from ..compile.reports.facts import ReportFacts
    from ..compile.reports.kept import Archive
    from ..ir import Project

_SUFFIX = ".dspc.json"


def report(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A .dspec file, or an artifact (.dspc.json).", show_default=False
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Of a .dspec file: the optimize block.", autocompletion=names_of("optimize")
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the page.")] = Path("report.html"),
    compiled: Annotated[
        Path | None, typer.Option(help="Folder of the artifacts; `compiled` beside the file if left out.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Of an artifact: the .dspec file that it was compiled from; the one beside it, or above its folder, that "
            "declares its block if left out."
        ),
    ] = None,
) -> None:
    """Write a page to look at: what got better, what got worse, what it cost, row by row. Asks no model."""
    from dspec.runtime.artifact.artifact import read_artifact
    from dspec.runtime.artifact.files import write_whole

    from ..compile.reports.gather import of_artifact
    from ..compile.reports.page import page_of

    check_page(out)
    if target.suffix == ".dspec" or target.is_dir():
        from .sources import one_file

        facts, artifact = _of_source(one_file(target), name, compiled, None)
    else:
        artifact = read_artifact(target, keys_given=lambda _: True)
        found = source or source_of(target, artifact.name)
        if found is None:
            facts = of_artifact(
                artifact,
                f"No .dspec file beside this artifact declares `optimize {artifact.name}`, so there are no rows, no trials "
                "and no prompts before: `--source` names the file.",
            )
        else:
            facts, artifact = _of_source(found, artifact.name, None, read_artifact(target))
    content = page_of(facts, artifact.program.lms.values())
    try:
        write_whole(out, content)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    console = stdout()
    for line in facts.missing:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    console.print(f"wrote {out}", markup=False)


def check_page(out: Path) -> None:
    """Leaves where a page cannot have this name: a source or an artifact in its place would be lost."""
    if out.suffix.lower() not in (".html", ".htm"):
        fail(f"{out} is no name for a page", help="name a file that ends in .html", code=Exit.USAGE)


def _of_source(
    path: Path, name: str | None, compiled: Path | None, artifact: Artifact | None
) -> tuple[ReportFacts, Artifact]:
    """The facts of an optimize block of a file, and its artifact, where that was not given: the one in its place."""
    from dspec.runtime.artifact.artifact import read_artifact

    from ..data.needs import compile_needs
    from .sources import checked, compiled_from_here, none_of_its_own, own, pick

    analysis, project = checked(
        path, lambda project: compile_needs(project, [name] if name else own(project.optimizes))
    )
    if not project.optimizes:
        fail(f"{path} declares no optimize block", help="`dspc init` shows one")
    if name is None and not own(project.optimizes):
        none_of_its_own(project.optimizes, "optimize", path)
    block = pick(list(project.optimizes), name, "optimize", path)
    folder = compiled or compiled_from_here(path)
    if artifact is None:
        place = folder / f"{block}{_SUFFIX}"
        if not place.exists():
            fail(f"`{block}` has not been compiled: there is no {place}", help="run `dspc compile` first")
        artifact = read_artifact(place)
    return asyncio.run(_gather(_prepared(analysis, project, block, folder), block, path, artifact)), artifact


def prepared_for(
    path: Path, block: str, folder: Path
) -> tuple[Prepared, AbstractAsyncContextManager[Archive]]:
    """What a look at the rows of an optimize block of a file needs, and what is kept of its runs. `folder` holds the artifacts of
    blocks that it names."""
    from ..compile.reports.kept import archive
    from ..data.needs import compile_needs
    from ..project.state import project_root, state_place
    from .sources import checked, pick

    analysis, project = checked(path, lambda project: compile_needs(project, [block]))
    pick(list(project.optimizes), block, "optimize", path)
    return _prepared(analysis, project, block, folder), archive(state_place(project_root(path)))


def _prepared(analysis: Analysis, project: Project, block: str, folder: Path) -> Prepared:
    """With the results of other blocks that this one was made from, or is compared with, as far as they are there."""
    from dspec.runtime.artifact.artifact import read_artifact

    from ..compile.prepared import Prepared
    from ..data.needs import compile_needs

    others = _baselines(project, block)
    base, needs = analysis.source.path.resolve().parent, compile_needs(project, [block, *others])
    prepared = Prepared(project, base, needs, sources=analysis.sources)
    for other in project.in_order([block, *others]):
        place = folder / f"{other}{_SUFFIX}"
        if other != block and place.exists():
            prepared.made(other, project.on_declared(read_artifact(place).program))
    return prepared


def _baselines(project: Project, block: str) -> list[str]:
    """Optimize blocks that the block's evals compare it with."""
    named = [one.baseline for one in project.evals.values() if one.program == block]
    return [name for name in named if name is not None and name in project.optimizes]


async def _gather(prepared: Prepared, block: str, path: Path, artifact: Artifact) -> ReportFacts:
    from ..compile.reports.gather import gathered
    from ..compile.reports.kept import archive
    from ..project.state import project_root, state_place

    async with archive(state_place(project_root(path))) as kept:
        return await gathered(prepared, block, artifact, kept)


def places_of(artifact: Path) -> list[Path]:
    """Where the source of an artifact may lie: above its folder, in it, or further above within the project."""
    from ..project.state import project_root

    folder, root = artifact.resolve().parent, project_root(artifact)
    further = [one for one in folder.parents[1:] if one == root or root in one.parents]
    return [folder.parent, folder, *further]


def source_of(artifact: Path, block: str) -> Path | None:
    """The only .dspec file that declares the block: beside the artifact, or in a folder above, as far as the project goes."""
    for place in places_of(artifact):
        found = [path for path in sorted(place.glob("*.dspec")) if declares(path, block)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def declares(source: Path, block: str) -> bool:
    """Whether a file has the head of that optimize block."""
    head = re.compile(rf"^\s*optimize\s+{re.escape(block)}\b", re.MULTILINE)
    return source.is_file() and head.search(source.read_text("utf-8", "replace")) is not None
