"""`dspc compile`: run the optimizer steps and write the artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from dspec.runtime.errors import ConfigurationError

from ..diagnostics.wording import plural
from .budgets import BudgetOption, with_budgets
from .completing import names_of
from .confirming import Stake, YesOption, confirm, somebody_answers
from .console import Exit, exit_code, fail, print_error, print_json, stderr, stdout
from .locking import LockedOption
from .observing import EventsOption, SpansOption, TrackedOption, observing
from .options import EngineOption, ThreadsOption, TransportChoice, TransportOption, WorkersOption
from .sources import SourceArgument

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from dspec.runtime.models.calls import Tally

    from ..compile.pipeline import Compiled, Job
    from ..compile.prepared import Prepared
    from ..compile.reports.tracking import TrackedRun
    from ..evaluate.eventlog import Observer
    from ..evaluate.executors.driver import Workers


def compile_command(
    path: SourceArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="The optimize blocks; all of the file's own if left out.",
            autocompletion=names_of("optimize"),
        ),
    ] = None,
    budget: BudgetOption = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the artifact; `compiled` beside the file if left out.")
    ] = None,
    evals: Annotated[bool, typer.Option(help="Run the eval blocks that score the result.")] = True,
    planned: Annotated[
        Path | None,
        typer.Option("--plan", help="A plan of `dspc plan --json`: stop unless it is still the plan."),
    ] = None,
    locked: LockedOption = False,
    events: EventsOption = None,
    otel: SpansOption = False,
    mlflow: TrackedOption = False,
    yes: YesOption = False,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Optimize a program and write it as an artifact. Running it again asks for nothing twice."""
    import asyncio

    from ..compile.pipeline import check_places, plan_blocks
    from ..data.needs import compile_needs
    from .planned import recalled
    from .session import open_workers
    from .sources import checked, compiled_from_here, none_of_its_own, own, pick

    if mlflow:
        from ..compile.reports.tracking import require_mlflow

        require_mlflow()
    analysis, project = checked(path, lambda project: compile_needs(project, names or own(project.optimizes)))
    if not project.optimizes:
        fail(f"{path} declares no optimize block", help="`dspc init` shows one")
    if not names and not own(project.optimizes):
        none_of_its_own(project.optimizes, "optimize", path)
    asked = names or own(project.optimizes)
    wanted = [pick(list(project.optimizes), name, "optimize", path) for name in asked]
    project = with_budgets(project, path, budget)
    base = path.resolve().parent
    folder = out or compiled_from_here(path)
    prepared, jobs = plan_blocks(
        project, wanted, base, folder, evals=evals, recalled=recalled(path), sources=analysis.sources
    )
    for job in jobs:
        prepared.files(job.name)  # as they were read, and not as they are when it is that block's turn
    if locked:
        from .locking import refuse_unlocked

        refuse_unlocked(prepared, [job.name for job in jobs], folder)
    if planned is not None:
        from .planned import refuse_drift

        if len(wanted) != 1:
            fail("a plan is of one optimize block", help="name the one you mean", code=Exit.USAGE)
        refuse_drift(planned, path, prepared, next(job.plan for job in jobs if job.asked))
    try:
        check_places(jobs)
    except ConfigurationError as error:
        if out is None:
            raise
        fail(error.message, help=error.help, code=Exit.USAGE)
    # A plan that is held to was looked at before.
    if not yes and planned is None and somebody_answers():
        confirm(_stakes(path, prepared, jobs, threads))
    runs: list[TrackedRun] = []

    def ended(one: Compiled | Failed) -> None:
        if mlflow:
            runs.append(_as_run(prepared, one, path.name))  # now, while its rows are there

    try:
        with observing(events, otel) as observers:
            results = asyncio.run(
                compile_all(
                    prepared,
                    jobs,
                    path,
                    threads,
                    transport,
                    observers,
                    cluster=open_workers(engine, workers),
                    quiet=json,
                    ended=ended,
                )
            )
    except Exception:
        if runs:
            _log_runs(runs)
        raise
    from . import results as written

    if json:
        print_json(written.compiled_json(results))
        written.draw_warnings(stderr(), results)
    else:
        for result in results:
            written.draw_compiled(stdout(), result)
    if runs:
        _log_runs(runs)
    done = {result.job.name for result in results}
    left = [job.name for job in jobs if job.name not in done]
    for result in results:
        finish(result, [name for name in left if result.job.name in prepared.project.needed(name)])


class Failed(Struct, frozen=True):
    """A job that an error has ended, and what was asked until then."""

    job: Job
    error: Exception
    tally: Tally


def _as_run(prepared: Prepared, ended: Compiled | Failed, file: str) -> TrackedRun:
    from ..compile.reports.tracking import failed, tracked

    if isinstance(ended, Failed):
        return failed(prepared, ended.job, ended.error, ended.tally, file)
    return tracked(prepared, ended, file)


def _log_runs(runs: Sequence[TrackedRun]) -> None:
    from ..compile.reports.tracking import log_runs
    from .observing import warn

    log_runs(runs, warn)


def _stakes(path: Path, prepared: Prepared, jobs: Sequence[Job], threads: int) -> list[Stake]:
    """What the blocks take that ask for anything the last compile did not."""
    from .planned import look

    found: list[Stake] = []
    for job in jobs:
        seen = look(path, prepared, job.name, made=job.plan, threads=threads)
        if not seen.repeats:
            note = "as the last compile took it" if seen.seen else "a guess before the first compile"
            if seen.free.calls:
                note += f"; {plural(seen.free.calls, 'call is', 'calls are')} known already, and free"
            found.append(Stake(f"compile {job.name}", seen.expected, seen.plan.maximum, seen.budget, note))
    return found


async def compile_all(
    prepared: Prepared,
    jobs: list[Job],
    path: Path,
    threads: int,
    transport: TransportChoice,
    observers: list[Observer],
    *,
    cluster: AbstractAsyncContextManager[Workers | None],
    quiet: bool,
    ended: Callable[[Compiled | Failed], None],
) -> list[Compiled]:
    """Compile the blocks one after the other, with the same workers; each artifact is written as soon as it is there, and
    `ended` is told how each one ended, before its rows are let go.

    One that needs the result of a block that did not run to its end is left out: what is made of half a result would
    have to be made again.
    """
    import asyncio

    from ..compile.pipeline import compile_block
    from ..evaluate.eventlog import both, calls
    from ..evaluate.executors.processes import start_here
    from .progress import reporting
    from .session import open_session

    results: list[Compiled] = []
    # What only the end needs is there by then: the first answers take longer than importing it.
    asyncio.get_running_loop().run_in_executor(None, import_module, ".results", __package__)
    async with cluster as workers:
        for job in jobs:
            if any(prepared.program(name) is None for name in prepared.project.needed(job.name)):
                continue
            async with open_session(
                path,
                threads,
                transport,
                attempt="compile",
                tools=tuple(prepared.project.externs.values()),
                on_event=calls(observers),
                workers=workers,
            ) as session:
                try:
                    with reporting(lambda s=session: s.engine.tally, quiet=quiet) as report:
                        done = await compile_block(
                            prepared,
                            job,
                            engine=session.engine,
                            store=session.store,
                            report=both(report, observers),
                            execute=session.execute,
                            start=start_here if workers is None else workers.process,
                            front=True,
                        )
                except Exception as error:
                    ended(Failed(job, error, session.engine.tally))
                    raise
                results.append(done)
                ended(done)
                if job is jobs[-1] and all(one.whole for one in results):
                    session.finished()
            if done.built.status == "complete" and not done.built.missed:
                keep_record(prepared, done, path)
            prepared.finished(job.name)
            if done.stopped:
                break
    return results


def keep_record(prepared: Prepared, result: Compiled, path: Path) -> None:
    """Remembers what this compile followed from, for the next `dspc plan`."""
    from ..compile.bills import seen
    from ..compile.changes import record_path, remember, snapshot
    from ..compile.pace import mean_seconds
    from ..project.state import project_root, state_folder

    name = result.job.name
    calls = {step.name: step.spent.calls for step in result.built.steps}
    pace = mean_seconds(result.tally.calls, result.tally.seconds)
    record = record_path(state_folder(project_root(path)), path, name)
    # Without all that was planned, nothing is learned of the plan.
    whole = len(result.evals) == len(result.job.plan.evals)
    learned = seen(result.job.plan.guess, result.spent) if whole else None
    # Runs that got no answer are asked again.
    answered = whole and not result.built.artifact.provenance.unanswered
    remember(record, snapshot(prepared, name), calls, pace, learned, answered=answered)


def finish(result: Compiled, waiting: Sequence[str] = ()) -> None:
    """Leave with the code that the result stands for, if it is not a plain success; `waiting` need the result."""
    if result.built.status == "budget":
        rest = ""
        if waiting:
            names = " and ".join(f"`{name}`" for name in waiting)
            rest = f"; {names} waits for the whole result: run the same command again to go on"
            if result.kept.place is not None:
                rest += ', or start from what there is with `artifact("…")`'
        print_error("the budget is spent", f"{whereabouts(result)}{rest}")
        raise typer.Exit(Exit.BUDGET)
    if result.built.status == "stopped":
        print_error("stopped before the end", f"{whereabouts(result)}; run the same command again to go on")
        raise typer.Exit(Exit.INTERRUPTED)
    if result.built.missed:
        assert result.built.chosen is not None
        print_error(
            f"{result.job.name}: {result.built.chosen.said()}",
            f"{result.built.chosen.help}; {whereabouts(result)}",
        )
        raise typer.Exit(Exit.FINDINGS)
    if result.cut is not None:
        print_error(result.cut.message, result.cut.help)
        raise typer.Exit(exit_code(result.cut))
    if not all(evaluation.passed for evaluation in result.evals):
        raise typer.Exit(Exit.FINDINGS)


def whereabouts(result: Compiled) -> str:
    """Of a compile that was cut short: which file holds what."""
    kept = result.kept
    if result.built.artifact.scores:
        what = "the best program so far"
    elif result.built.baseline is not None:
        what = "the result of the steps, which was not scored,"
    else:
        what = "the program it started from, which was not scored,"
    if kept.place is None:
        first, *others = map(str, kept.stays)
        compared = "which the result until now is not known to be better than"
        if not result.built.artifact.scores:
            compared = "which nobody compared with the result until now"
        better = "".join(f", and {other}, {compared}," for other in others)
        return f"{first}{better} stays as it was"
    stays = "".join(f"{path} stays as it was; " for path in kept.stays)
    return f"{stays}{what} is in {kept.place}"
