"""From a path on the command line to checked projects and their findings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .console import Exit, fail, stderr
from .crash import with_reports
from .quick import sources_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspec.runtime.schema.ensemble import Runnable

    from ..check.analysis import Analysis
    from ..data.needs import Needs
    from ..ir import Project


def one_file(path: Path) -> Path:
    """The file that is meant: of a folder the only one in it, folders below left out."""
    if not path.is_dir():
        return path
    found = sorted(one for one in path.glob("*.dspec") if one.is_file())
    if not found:
        fail(f"no .dspec file in {path}", code=Exit.USAGE)
    if len(found) > 1:
        names = ", ".join(str(one) for one in found)
        fail(f"{path} holds several .dspec files: {names}", help="name the one you mean", code=Exit.USAGE)
    return found[0]


def compiled_from_here(path: Path) -> Path:
    """Where the artifacts of the file at `path` lie, as seen from the working folder: commands tell of them."""
    from ..diagnostics.settings import compiled_folder

    place = compiled_folder(path)
    try:
        return Path(os.path.relpath(place))
    except ValueError:  # on another drive
        return place


SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A .dspec file, or a folder that holds one.",
        show_default=False,
        callback=one_file,
    ),
]


def spared(output: Path | None) -> Path | None:
    """A file that a command writes, for an option's callback. Leaves where it has the name of a source or an artifact: what
    stands there would be lost, and no command that asks this writes one."""
    if output is not None and output.name.lower().endswith((".dspec", ".dspc.json")):
        fail(
            f"{output} is the name of a source or an artifact, and something else is written here",
            help="name another file",
            code=Exit.USAGE,
        )
    return output


def find_sources(paths: list[Path]) -> list[Path]:
    """The `.dspec` files named, and those below the folders named, sorted; leaves where there are none."""
    try:
        found = sources_at(paths)
    except FileNotFoundError as error:
        fail(f"there is no file {error}", help="name a .dspec file or a folder", code=Exit.USAGE)
    if not found:
        fail(f"no .dspec file in {', '.join(map(str, paths))}", code=Exit.USAGE)
    return found


def print_findings(analysis: Analysis) -> None:
    """Diagnostics as text on stderr, with a closing count; nothing where there are none."""
    from ..diagnostics.render import render, summary

    if not analysis.diagnostics:
        return
    console = stderr()
    text = render(
        with_reports(analysis),
        colour=console.color_system is not None,
        unicode=not console.options.ascii_only,
        width=console.width,
    )
    console.file.write(text + "\n" + summary(analysis.diagnostics) + "\n")


def checked(path: Path, needs: Callable[[Project], Needs] | None = None) -> tuple[Analysis, Project]:
    """The checked project of a file; prints findings, and leaves if there are errors.

    `needs` are rows that are asked for where they are elsewhere and none are kept.
    """
    from ..check.analysis import analyse
    from ..data import FolderCache
    from ..data.needs import sources
    from ..data.sources.table import is_fetched
    from ..project.state import checks_folder, project_root
    from .dotenv import fill_environment

    (source,) = find_sources([path])[:1]
    cache = FolderCache(checks_folder(project_root(source)))
    analysis = analyse(source, cache=cache)
    if needs is not None and analysis.project is not None:
        wanted = [one for one in sources(analysis.project, needs(analysis.project)) if is_fetched(one)]
        if wanted:
            analysis = analyse(source, cache=cache, fetch="missing", only=wanted)
    for what in analysis.fetched:
        stderr().print(what, markup=False)
    print_findings(analysis)
    if analysis.project is None:
        raise typer.Exit(Exit.BUG if analysis.crashes else Exit.FINDINGS)
    project = analysis.project
    own = [lm for program in project.made.values() for lm in program.lms.values()]
    fill_environment(project_root(source), [*project.lms.values(), *own], tools=project.externs.values())
    return analysis, project


def own(names: Iterable[str]) -> list[str]:
    """Those of the file itself: what it imports has an alias before its name, and is somebody else's unless named."""
    return [name for name in names if "." not in name]


def pick(names: list[str], given: str | None, kind: str, path: Path) -> str:
    """The declaration meant: the one given, or the only one that the file itself has."""
    if given is None:
        mine = own(names)
        if len(mine) == 1:
            return mine[0]
        if not mine:
            none_of_its_own(names, kind, path)
        fail(
            f"{path} declares several {kind} blocks: {', '.join(mine)}",
            help="name the one you mean",
            code=Exit.USAGE,
        )
    if given not in names:
        fail(
            f"{path} declares no {kind} `{given}`",
            help=f"there is {', '.join(names)}" if names else "",
            code=Exit.USAGE,
        )
    return given


def pick_program(project: Project, given: str | None, path: Path) -> str:
    """The module or program meant; where a file has none of its own, the only one that it imports."""
    if given is None and not own(project.programs) and len(project.programs) == 1:
        (given,) = project.programs
    return pick(list(project.programs), given, "module or program", path)


def program_at(target: Path, name: str | None) -> tuple[str, Runnable]:
    """The program of an artifact or a source, and its name."""
    if target.suffix != ".dspec":
        from dspec.runtime.artifact.artifact import read_artifact

        artifact = read_artifact(target, keys_given=lambda _: True)
        return artifact.name, artifact.program
    _, project = checked(target)
    chosen = pick_program(project, name, target)
    return chosen, project.programs[chosen]


def none_of_its_own(names: Iterable[str], kind: str, path: Path) -> NoReturn:
    """Leaves, since the file itself declares nothing of the kind; `names` are what it imports."""
    imported = ", ".join(names)
    if imported:
        fail(f"{path} declares no {kind} of its own", help=f"what it imports is run when named: {imported}")
    fail(f"{path} declares no {kind}", help=f"add an `{kind}` block")
