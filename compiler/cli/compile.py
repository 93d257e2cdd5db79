"""`dspc compile`: run the optimizer steps and write the artifact."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, exit_code, fail, print_error, print_json, stdout
from .jobs import Compiled, Job, make_job
from .observing import EventsOption, SpansOption, observing
from .session import Session, ThreadsOption, TransportChoice, TransportOption
from .sources import SourceArgument

if TYPE_CHECKING:
    from ..evaluate.eventlog import Observer
    from ..evaluate.events import Report


def compile_command(
    path: SourceArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="The optimize blocks; all of them if left out."),
    ] = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the artifact; `compiled` beside the file if left out.")
    ] = None,
    evals: Annotated[bool, typer.Option(help="Run the eval blocks that score the result.")] = True,
    planned: Annotated[
        Path | None,
        typer.Option("--plan", help="A plan of `dspc plan --json`: stop unless it is still the plan."),
    ] = None,
    events: EventsOption = None,
    otel: SpansOption = False,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Optimize a program and write it as an artifact. Running it again asks for nothing twice."""
    from ..data.needs import compile_needs
    from .sources import checked, pick

    _, project = checked(path, lambda project: compile_needs(project, names or project.optimizes))
    if not names and not project.optimizes:
        fail(f"{path} declares no optimize block", help="`dspc init` shows one")
    wanted = [pick(list(project.optimizes), name, "optimize", path) for name in names or project.optimizes]
    base = path.resolve().parent
    jobs = [make_job(project, name, base, out or base / "compiled", evals) for name in wanted]
    if planned is not None:
        from .planned import refuse_drift

        if len(wanted) != 1:
            fail("a plan is of one optimize block", help="name the one you mean", code=Exit.USAGE)
        refuse_drift(planned, path, project, wanted[0])
    with observing(events, otel) as observers:
        results = asyncio.run(compile_all(jobs, path, threads, transport, observers, quiet=json))
    from . import report

    if json:
        print_json(report.compiled_json(results))
    else:
        for result in results:
            report.draw_compiled(stdout(), result)
    for result in results:
        finish(result)


async def compile_all(
    jobs: list[Job],
    path: Path,
    threads: int,
    transport: TransportChoice,
    observers: list[Observer],
    *,
    quiet: bool,
) -> list[Compiled]:
    """Compile the blocks one after the other; each artifact is written as soon as it is there."""
    from ..evaluate.eventlog import both, calls
    from .progress import reporting
    from .session import open_session

    results: list[Compiled] = []
    # What only the end needs is there by then: the first answers take longer than importing it.
    asyncio.get_running_loop().run_in_executor(None, import_module, ".report", __package__)
    for job in jobs:
        async with open_session(path, threads, transport, on_event=calls(observers)) as session:
            with reporting(lambda s=session: s.engine.tally, quiet=quiet) as report:
                results.append(await compile_one(job, session, both(report, observers)))
        if results[-1].built.status == "complete":
            keep_record(results[-1], path)
        if results[-1].stopped:
            break
    return results


def keep_record(result: Compiled, path: Path) -> None:
    """Remembers what this compile followed from, for the next `dspc plan`."""
    from ..compile.changes import record_path, remember, snapshot
    from ..compile.pace import mean_seconds
    from ..compile.plan import resolve
    from ..project.state import project_root, state_folder

    job = result.job
    calls = {step.name: step.spent.calls for step in result.built.steps}
    inputs = snapshot(job.project, resolve(job.project, job.name, job.base))
    pace = mean_seconds(result.tally.calls, result.tally.seconds)
    remember(record_path(state_folder(project_root(path)), path, job.name), inputs, calls, pace)


async def compile_one(job: Job, session: Session, report: Report) -> Compiled:
    from dspec.runtime.artifact.artifact import write_artifact
    from dspec.runtime.errors import ProviderError

    from ..compile.build import build
    from ..evaluate.budget import wall_of
    from ..evaluate.evals import Walls, evaluate_each

    engine, store = session.engine, session.store
    wall = wall_of(job.project.optimizes[job.name].budget)
    try:
        built = await build(
            job.project, job.name, job.base, engine=engine, store=store, wall=wall, report=report
        )
        write_artifact(job.artifact, built.artifact)
        evals, cut = await evaluate_each(
            job.project,
            job.evals if built.status == "complete" else (),
            job.base,
            walls=Walls(job.project, {job.name: wall}),
            engine=engine,
            store=store,
            compiled={job.name: built.artifact.program},
            report=report,
        )
    except ProviderError as error:
        error.help = "; ".join(
            [*filter(None, [error.help]), "every answer so far is kept: run the same command again to go on"]
        )
        raise
    return Compiled(job, built, evals, engine.tally, cut)


def finish(result: Compiled) -> None:
    """Leave with the code that the result stands for, if it is not a plain success."""
    if result.built.status == "budget":
        print_error("the budget is spent", f"the best program so far is in {result.job.artifact}")
        raise typer.Exit(Exit.BUDGET)
    if result.built.status == "stopped":
        print_error(
            "stopped before the end",
            f"the best program so far is in {result.job.artifact}; run the same command again to go on",
        )
        raise typer.Exit(Exit.INTERRUPTED)
    if result.cut is not None:
        print_error(result.cut.message, result.cut.help)
        raise typer.Exit(exit_code(result.cut))
    if not all(evaluation.passed for evaluation in result.evals):
        raise typer.Exit(Exit.FINDINGS)
