"""Compiles optimize blocks: load, check, plan, run the steps, select, write. The whole compiler on one screen.

`check.analysis.analyse` loads and checks the source; here its project is prepared, and each block goes the rest of
the way. The command line does nothing else: it lends an engine, and shows what is reported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.errors import ProviderError, Refused, Stopped
from dspec.runtime.models.engine import Engine, Tally

from .. import ir
from ..data.needs import compile_needs
from ..evaluate.budget import wall_of
from ..evaluate.events import Report
from ..evaluate.executors.processes import StartProcess, start_here
from ..evaluate.meter import Account, Execute, metered
from ..evaluate.store import Store
from ..evaluate.tasks import Halt
from ..optimizers.training.service import Training
from ..project.source import Source
from ..project.state import state_place
from .build import run_steps
from .built import Built
from .changes import CompileRecord
from .evals import EvalResult, Walls, evaluate_each
from .freshness import result_in
from .keeping import Kept, check_writable, keep
from .plan import Plan, plan, plan_with_result
from .prepared import Prepared


class Job(Struct, frozen=True):
    """One block to compile: its plan, where the artifact goes, and the evals to run on the result.

    One that is not `asked` for is compiled because a later one needs its result.
    """

    plan: Plan
    artifact: Path
    evals: tuple[str, ...]
    asked: bool = True

    @property
    def name(self) -> str:
        return self.plan.optimize


class Compiled(Struct, frozen=True):
    """A job's result. `tally` counts what this process really asked for."""

    job: Job
    built: Built
    kept: Kept
    evals: tuple[EvalResult, ...]
    tally: Tally
    cut: Halt | None = None
    """Why not all of the evals are there."""

    @property
    def whole(self) -> bool:
        """Whether it came to its end, with its evals."""
        return self.built.status == "complete" and not self.built.missed and self.cut is None

    @property
    def spent(self) -> Account:
        """What it needed, evals included."""
        return sum((evaluation.spent for evaluation in self.evals), self.built.spent)

    @property
    def stopped(self) -> bool:
        return self.built.status == "stopped" or isinstance(self.cut, Stopped)


def plan_blocks(
    project: ir.Project,
    names: Sequence[str],
    folder: Path,
    out: Path,
    *,
    evals: bool,
    recalled: Callable[[str], CompileRecord | None] = lambda _: None,
    sources: Sequence[Source] = (),
) -> tuple[Prepared, list[Job]]:
    """Read what these blocks of a checked project need, and plan each of them. Asks no model.

    Before a block come those whose results it needs, unless their artifacts in `out` are what a compile would give;
    `recalled` is what is remembered of a block's last compile, `sources` are the files that were checked, root first.
    """
    against = [
        block.baseline
        for block in project.evals.values()
        if evals and block.program in names and block.baseline in project.optimizes
    ]
    order = project.in_order([*filter(None, against), *names])
    results = frozenset(other for name in order for other in project.needed(name)).union(
        filter(None, against)
    )
    prepared = Prepared(project, folder, compile_needs(project, order), sources=sources)
    jobs: list[Job] = []
    for name in order:
        place = out / f"{name}.dspc.json"
        if name not in names:
            found = result_in(place, prepared, name, recalled(name))
            if found is not None:
                prepared.made(name, found)
                continue
        scoring = [block.name for block in prepared.project.evals.values() if block.program == name]
        asked = name in names
        planned, result, growth = plan_with_result(prepared, name, scored=asked)
        jobs.append(
            Job(planned, Path(os.path.relpath(place)), tuple(scoring) if evals and asked else (), asked)
        )
        if name in results:
            prepared.made(name, result, awaited=growth)
    return prepared, jobs


def check_places(jobs: Iterable[Job]) -> None:
    """Raises ConfigurationError where the artifact of one of these could not be written."""
    for job in jobs:
        check_writable(job.artifact)


async def compile_block(
    prepared: Prepared,
    job: Job,
    *,
    engine: Engine,
    store: Store,
    report: Report,
    execute: Execute = metered,
    start: StartProcess = start_here,
    front: bool = False,
) -> Compiled:
    """Run the steps, select, and write the artifact; then score it with the block's evals. `start` has the processes that
    train checkpoints; `front` as in `run_steps`.

    From then on the prepared project has the result, if the compile ran to its end.
    """
    if prepared.project.needed(job.name):
        # By now the results are there that it was planned without.
        job = replace(job, plan=plan(prepared, job.name, scored=job.asked))
    wall = wall_of(prepared.project.optimizes[job.name].budget)
    try:
        training = Training(
            state_place(prepared.root),
            prepared.project.training,
            stopped=lambda: engine.stopped,
            start=start,
        )
        ran = await run_steps(
            prepared,
            job.plan,
            engine=engine,
            store=store,
            wall=wall,
            report=report,
            training=training,
            execute=execute,
            front=front,
        )
        built = ran.select()
        done = built.status == "complete" and not built.missed
        kept = keep(job.artifact, built.artifact, whole=done, beside=built.missed)
        if done:
            prepared.made(job.name, prepared.project.on_declared(built.artifact.program))
        evals, cut = await evaluate_each(
            prepared,
            job.evals if done else (),
            walls=Walls(prepared.project, {job.name: wall}),
            engine=engine,
            store=store,
            compiled={job.name: built.artifact.program},
            report=report,
            execute=execute,
        )
    except Refused:
        raise  # which says how to go on
    except ProviderError as error:
        error.help = "; ".join(
            [*filter(None, [error.help]), "every answer so far is kept: run the same command again to go on"]
        )
        raise
    return Compiled(job, built, kept, evals, engine.tally, cut)
