"""`dspc test`: run the tests of sources on recorded answers, and record them."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .completing import names_of
from .console import Exit, exit_code, fail, print_json, stderr, stdout
from .options import ThreadsOption, TransportChoice, TransportOption
from .sources import spared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspec.runtime.schema.ensemble import Runnable
    from dspec.runtime.schema.program import Tool

    from .. import ir
    from ..compile.testing import Suite, Tested


def run_declared(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A .dspec file, or a folder: all files below it.")
    ] = Path(),
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="The tests; all of the files' own if left out.",
            autocompletion=names_of("test"),
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Ask models what is not recorded yet, and keep what they answer.")
    ] = False,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", callback=spared, help="Also write JUnit's XML.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Run the tests of .dspec files. Asks no model but the embedded one, unless answers are to be recorded."""
    from .sources import checked, find_sources, own
    from .tested import draw_failure, draw_total, suites, tests_json

    jobs: list[tuple[Path, ir.Project, list[str]]] = []
    known: list[str] = []
    for source in find_sources([path]):
        if path.is_dir() and "test" not in source.read_text(encoding="utf-8", errors="replace"):
            continue
        _, project = checked(source)
        known += project.tests
        wanted = [name for name in project.tests if name in names] if names else own(project.tests)
        if wanted:
            jobs.append((source, project, wanted))
    if unknown := [name for name in names or () if name not in known]:
        fail(
            f"{path} declares no test `{unknown[0]}`",
            help=f"there is {', '.join(dict.fromkeys(known))}" if known else "",
            code=Exit.USAGE,
        )
    if not jobs:
        fail(f"{path} declares no test", help="add a `test` block", code=Exit.USAGE)

    console = stdout()
    results: list[tuple[Path, list[Tested]]] = []
    for source, project, wanted in jobs:
        if not json and len(jobs) > 1:
            console.print(str(source), markup=False)

        def told(tested: Tested) -> None:
            if not json:
                draw_failure(console, tested)

        results.append(
            (source, _run(source, project, wanted, threads, transport, told, record=record, whole=not names))
        )
    if json:
        print_json(tests_json(results))
    else:
        draw_total(console, results)
    if junit is not None:
        from .junit import write_junit

        write_junit(junit, suites(results))
    every = [tested for _, found in results for tested in found]
    unfinished = next((one.error for one in every if one.status == "unfinished"), None)
    if unfinished is not None:
        raise typer.Exit(exit_code(unfinished))
    if any(one.status == "failed" for one in every):
        raise typer.Exit(Exit.FINDINGS)


def answers_of(source: Path) -> Path:
    """The file beside a source that its tests' answers are recorded in."""
    return source.with_name(f"{source.stem}.answers.jsonl")


def _run(
    source: Path,
    project: ir.Project,
    names: Sequence[str],
    threads: int,
    transport: TransportChoice,
    told: Callable[[Tested], None],
    *,
    record: bool,
    whole: bool,
) -> list[Tested]:
    """One file's tests. `whole` says that these are all of its own, so that what none of them needs can go."""
    from ..compile.recorded import AnswersFile
    from ..compile.testing import Suite
    from ..data.media import MediaFiles
    from ..diagnostics.wording import plural
    from ..project.state import project_root

    tests = [project.tests[name] for name in names]
    media = MediaFiles(source.resolve().parent, project_root(source), glancing=False)
    suite = Suite(tests, _programs(project, tests, source), AnswersFile(answers_of(source)), media)
    tools = tuple(project.externs.values())
    if not record:
        return asyncio.run(_replayed(source, tools, suite, threads, told))
    most = plural(suite.most_calls(), "call")
    place = suite.file.path
    stderr().print(f"recording into {place}: at most {most}, and those that correct answers", markup=False)
    results = asyncio.run(_recorded(source, tools, suite, threads, transport, told))
    if whole and all(one.status != "unfinished" for one in results) and (gone := suite.file.drop_unneeded()):
        stderr().print(f"took {plural(gone, 'answer')} out that no test needs any more", markup=False)
    if suite.file.lines or place.exists():
        from dspec.runtime.artifact.files import write_whole

        try:
            write_whole(place, suite.file.content())
        except OSError as error:
            fail(f"{place} cannot be written: {error.strerror or error}", code=Exit.ENVIRONMENT)
    return results


def _programs(project: ir.Project, tests: Sequence[ir.Test], source: Path) -> dict[str, Runnable]:
    """What the tests run. An optimize block's result is its artifact; one that is not there is left out."""
    from dspec.runtime.artifact.artifact import read_artifact

    from .sources import compiled_from_here

    found: dict[str, Runnable] = {}
    for name in dict.fromkeys(test.program for test in tests):
        if name not in project.optimizes:
            found[name] = project.on_lm(name, None)
            continue
        place = compiled_from_here(source) / f"{name}.dspc.json"
        if place.exists():
            found[name] = project.on_declared(read_artifact(place).program)
    return found


async def _replayed(
    source: Path, tools: Sequence[Tool], suite: Suite, threads: int, told: Callable[[Tested], None]
) -> list[Tested]:
    from dspec.runtime.models.engine import Engine

    from ..compile.testing import run_tests
    from .session import project_tools

    async with (
        project_tools(source, tools, None) if tools else nullcontext() as toolbox,
        Engine(threads=threads, tools=toolbox) as engine,
    ):
        return await run_tests(suite, engine, asking=False, told=told)


async def _recorded(
    source: Path,
    tools: Sequence[Tool],
    suite: Suite,
    threads: int,
    transport: TransportChoice,
    told: Callable[[Tested], None],
) -> list[Tested]:
    from ..compile.testing import run_tests
    from .session import open_session

    async with open_session(source, threads, transport, attempt="test", tools=tools) as session:
        results = await run_tests(suite, session.engine, asking=True, told=told)
        if all(one.status != "unfinished" for one in results):
            session.finished()
    return results
