"""`dspc compile`: run the optimizer steps and write the artifact."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, fail, print_error, print_json, stderr, stdout
from .session import Session, ThreadsOption, TransportChoice, TransportOption
from .sources import SourceArgument

if TYPE_CHECKING:
    from dspec.runtime.engine import Tally

    from ..build import Built, EvalResult
    from ..events import Report
    from ..ir import Project


@dataclass(frozen=True, slots=True)
class Compiled:
    """One optimize block's result. `tally` counts what this process really asked for."""

    name: str
    artifact: Path
    built: Built
    evals: tuple[EvalResult, ...]
    planned: int
    """Model calls at most, evals included, as `dspc plan` gives them."""
    tally: Tally


def compile_command(
    path: SourceArgument,
    names: Annotated[
        list[str] | None, typer.Argument(help="The optimize blocks; all of them if left out.")
    ] = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the artifact; `compiled` beside the file if left out.")
    ] = None,
    evals: Annotated[bool, typer.Option(help="Run the eval blocks that score the result.")] = True,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Optimize a program and write it as an artifact. Running it again asks for nothing twice."""
    from . import report
    from .sources import checked, pick

    _, project = checked(path)
    if not names and not project.optimizes:
        fail(f"{path} declares no optimize block", help="`dspc init` shows one")
    wanted = [pick(list(project.optimizes), name, "optimize", path) for name in names or project.optimizes]
    folder = out or path.resolve().parent / "compiled"
    results = asyncio.run(compile_all(path, project, wanted, folder, threads, transport, evals, quiet=json))
    if json:
        print_json(report.compiled_json(results))
    else:
        for result in results:
            report.draw_compiled(stdout(), result)
    for result in results:
        finish(result)


async def compile_all(
    path: Path,
    project: Project,
    names: list[str],
    folder: Path,
    threads: int,
    transport: TransportChoice,
    evals: bool,
    *,
    quiet: bool,
) -> list[Compiled]:
    """Compile the blocks one after the other; each artifact is written as soon as it is there."""
    from .progress import reporting
    from .session import open_session

    results: list[Compiled] = []
    for name in names:
        async with open_session(path, threads, transport) as session:
            with reporting(stderr(), lambda s=session: s.engine.tally, quiet=quiet) as report:
                results.append(await compile_one(path, project, name, folder, session, evals, report))
    return results


async def compile_one(
    path: Path,
    project: Project,
    name: str,
    folder: Path,
    session: Session,
    evals: bool,
    report: Report,
) -> Compiled:
    from dspec.runtime.artifact import write_artifact
    from dspec.runtime.errors import ProviderError

    from ..build import build, evaluate_named
    from ..plan import plan

    base = path.resolve().parent
    planned = plan(project, name, base).most
    place = Path(os.path.relpath(folder / f"{name}.dspc.json"))
    try:
        built = await build(project, name, base, engine=session.engine, store=session.store, report=report)
        write_artifact(place, built.artifact)
        scored: list[EvalResult] = []
        if evals and built.status == "complete":
            for block in project.evals.values():
                if block.program == name:
                    scored.append(
                        await evaluate_named(
                            project,
                            block.name,
                            base,
                            engine=session.engine,
                            store=session.store,
                            compiled={name: built.artifact.program},
                            report=report,
                        )
                    )
    except ProviderError as error:
        error.help = "; ".join(
            [*filter(None, [error.help]), "every answer so far is kept: run the same command again to go on"]
        )
        raise
    return Compiled(name, place, built, tuple(scored), planned, session.engine.tally)


def finish(result: Compiled) -> None:
    """Leave with the code that the result stands for, if it is not a plain success."""
    if result.built.status == "budget":
        print_error("the budget is spent", f"the best program so far is in {result.artifact}")
        raise typer.Exit(Exit.BUDGET)
    if result.built.status == "stopped":
        print_error(
            "stopped before the end",
            f"the best program so far is in {result.artifact}; run the same command again to go on",
        )
        raise typer.Exit(Exit.INTERRUPTED)
    if not all(evaluation.passed for evaluation in result.evals):
        raise typer.Exit(Exit.FINDINGS)
