"""`dspc eval`: score programs on held-out rows, and hold them to their gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..diagnostics.wording import plural
from .budgets import BudgetOption, with_budgets
from .completing import names_of
from .confirming import Stake, YesOption, confirm, somebody_answers, total
from .console import Exit, exit_code, fail, print_error, print_json, stderr, stdout
from .locking import LockedOption, refuse_unlocked
from .observing import EventsOption, SpansOption, observing
from .options import EngineOption, ThreadsOption, TransportChoice, TransportOption, WorkersOption
from .sources import SourceArgument, spared

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from dspec.runtime.schema.ensemble import Runnable

    from ..check.analysis import Analysis
    from ..compile.evals import EvalResult
    from ..compile.prepared import Prepared
    from ..compile.reports.evals import EvalsSeen
    from ..evaluate.eventlog import Observer
    from ..evaluate.executors.driver import Workers
    from ..evaluate.tasks import Halt
    from ..ir import Eval, Project


def evaluate(
    path: SourceArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="The eval blocks; all of the file's own if left out.",
            autocompletion=names_of("eval"),
        ),
    ] = None,
    budget: BudgetOption = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    compiled: Annotated[
        Path | None, typer.Option(help="Folder of the artifacts; `compiled` beside the file if left out.")
    ] = None,
    locked: LockedOption = False,
    events: EventsOption = None,
    otel: SpansOption = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Write every row here, with inputs, gold, outputs, score, reason and cost: .csv, .jsonl, .parquet or .html.",
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", callback=spared, help="Also write JUnit's XML: a case for each gate."),
    ] = None,
    yes: YesOption = False,
    json: Annotated[bool, typer.Option("--json", help="For machines, with a record per row.")] = False,
) -> None:
    """Score what was compiled on the rows of eval blocks. Exits with 1 when a gate does not hold."""
    import asyncio

    from ..compile.prepared import Prepared
    from ..compile.reports.evals import EvalsSeen
    from ..data.needs import eval_needs
    from ..project.state import project_root
    from . import results as written
    from .dotenv import fill_environment
    from .session import open_workers
    from .sources import checked, compiled_from_here, none_of_its_own, own, pick

    if rows is not None:
        _check_rows(rows)
    analysis, project = checked(path, lambda project: eval_needs(project, names or own(project.evals)))
    if not project.evals:
        fail(f"{path} declares no eval block")
    if not names and not own(project.evals):
        none_of_its_own(project.evals, "eval", path)
    if rows is not None:
        _spare_data(rows, project, path.resolve().parent)
    wanted = [pick(list(project.evals), name, "eval", path) for name in names or own(project.evals)]
    project = with_budgets(project, path, budget)
    folder = compiled or compiled_from_here(path)
    blocks = [project.evals[name] for name in wanted]
    programs = load_compiled(
        project, {block.program for block in blocks} | {b.baseline for b in blocks}, folder
    )
    base = path.resolve().parent
    if locked:
        _hold(analysis, project, blocks, folder)
    fill_environment(project_root(path), [lm for program in programs.values() for lm in program.lms.values()])
    prepared = Prepared(project, base, eval_needs(project, wanted))
    kept = None if rows is None else EvalsSeen(prepared, wanted, programs, base)
    if not yes and somebody_answers():
        confirm(_stakes(path, prepared, wanted, programs))
    with observing(events, otel) as observers:
        results, cut = asyncio.run(
            evaluate_all(
                prepared,
                wanted,
                base,
                programs,
                threads,
                transport,
                observers,
                cluster=open_workers(engine, workers),
                quiet=json,
            )
        )
    if rows is not None and kept is not None:
        _write_rows(rows, kept, results)
    if junit is not None:
        _write_junit(junit, path, wanted, results, cut)
    if json:
        print_json(written.evals_json(results))
        written.draw_warnings(stderr(), results)
    else:
        written.draw_evals(stdout(), results)
    if cut is not None:
        print_error(cut.message, cut.help)
        raise typer.Exit(exit_code(cut))
    if not all(result.passed for result in results):
        raise typer.Exit(Exit.FINDINGS)


def _hold(analysis: Analysis, project: Project, blocks: list[Eval], folder: Path) -> None:
    """Leaves where the artifacts of these evals' programs are not what the source would give."""
    from ..compile.prepared import Prepared
    from ..data.needs import compile_needs

    named = dict.fromkeys(name for block in blocks for name in (block.program, block.baseline))
    names = project.in_order(name for name in named if name in project.optimizes)
    base = analysis.source.path.resolve().parent
    prepared = Prepared(project, base, compile_needs(project, names), sources=analysis.sources)
    for name, program in load_compiled(project, set(names), folder).items():
        prepared.made(name, program)
    refuse_unlocked(prepared, names, folder)


def _stakes(path: Path, prepared: Prepared, names: list[str], programs: dict[str, Runnable]) -> list[Stake]:
    """What each eval takes beside what is known already."""
    from ..compile.evals import budget_of
    from ..compile.forecast import forecast_evals
    from ..evaluate.store import Store
    from ..project.state import project_root, state_folder

    with Store(state_folder(project_root(path)) / "evaluations.sqlite") as store:
        found = forecast_evals(prepared, names, programs, store)
    return [
        Stake(
            f"eval {name}",
            total(one.expected for one in parts),
            total(one.most for one in parts),
            budget_of(prepared.project, name),
            "a guess",
        )
        for name, parts in found.items()
    ]


def _write_junit(
    place: Path, source: Path, names: list[str], results: list[EvalResult], cut: Halt | None
) -> None:
    """A suite for each eval: its gates as cases, and one for itself, which tells the score. One that is missing is an error."""
    from .junit import CaseSuite, JUnitCase, write_junit

    known = {result.name: result for result in results}
    found: list[CaseSuite] = []
    for name in names:
        result = known.get(name)
        if result is None:
            said = "it has not come to its end" if cut is None else cut.message
            found.append(CaseSuite(f"eval {name}", source, [JUnitCase(name, "error", [said])]))
            continue
        told = [f"score {result.score.score} on {plural(result.score.n, 'row')}"]
        if result.baseline_score is not None:
            told.append(f"baseline {result.baseline_score.score}")
        cases = [JUnitCase(name, "passed", told)]
        cases += (
            JUnitCase(f"gate {gate.text}", "passed" if gate.held else "failed", [", ".join(told)])
            for gate in result.gates
        )
        found.append(CaseSuite(f"eval {name}", source, cases))
    write_junit(place, found)


def _check_rows(path: Path) -> None:
    from dspec.runtime.errors import InputError

    from ..compile.reports.rowfiles import check_file

    try:
        check_file(path)
    except InputError as error:
        fail(error.message, help=error.help, code=Exit.USAGE)


def _spare_data(rows: Path, project: Project, base: Path) -> None:
    """Leaves where the rows would take the place of a file that a dataset is read from."""
    for dataset in project.datasets.values():
        if (base / dataset.source.path).resolve() == rows.resolve():
            fail(f"{rows} holds the rows of `{dataset.name}`", help="name another file", code=Exit.USAGE)


def _write_rows(path: Path, seen: EvalsSeen, results: list[EvalResult]) -> None:
    """Writes what is known of the evals that came to their end, whether their gates hold or not."""
    from dspec.runtime.artifact.files import write_whole

    from ..compile.reports.rowfiles import content

    try:
        write_whole(path, content(path, seen.rows(results), seen.lms))
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    stderr().print(f"wrote {path}", markup=False)


async def evaluate_all(
    prepared: Prepared,
    names: list[str],
    base: Path,
    programs: dict[str, Runnable],
    threads: int,
    transport: TransportChoice,
    observers: list[Observer],
    *,
    cluster: AbstractAsyncContextManager[Workers | None],
    quiet: bool,
) -> tuple[list[EvalResult], Halt | None]:
    """The blocks' results, and why some are missing."""
    from ..compile.evals import Walls, evaluate_each
    from ..evaluate.eventlog import both, calls
    from .progress import reporting
    from .session import open_session

    async with (
        cluster as workers,
        open_session(
            base / "any.dspec",
            threads,
            transport,
            attempt="eval",
            tools=tuple(prepared.project.externs.values()),
            on_event=calls(observers),
            workers=workers,
        ) as session,
    ):
        with reporting(lambda: session.engine.tally, quiet=quiet) as shown:
            report = both(shown, observers)
            results, cut = await evaluate_each(
                prepared,
                names,
                walls=Walls(prepared.project),
                engine=session.engine,
                store=session.store,
                compiled=programs,
                report=report,
                execute=session.execute,
            )
        if cut is None:
            session.finished()
    return list(results), cut


def load_compiled(project: Project, names: set[str | None], folder: Path) -> dict[str, Runnable]:
    """The artifacts of the optimize blocks among `names`, on the models and tools as the source has them now.

    An artifact carries no address, so a model with a literal one is taken from the source. What a tool is, the source
    alone says: an artifact may have come from anywhere, and the project's tools run here.
    """
    from dspec.runtime.artifact.artifact import read_artifact

    programs: dict[str, Runnable] = {}
    for name in sorted(filter(None, names)):
        place = folder / f"{name}.dspc.json"
        if name not in project.optimizes:
            continue
        if not place.exists():
            fail(f"`{name}` has not been compiled: there is no {place}", help="run `dspc compile` first")
        programs[name] = project.on_declared(read_artifact(place).program)
    return programs
