"""Compiles optimize blocks: load, check, plan, run the steps, select, write. The whole compiler on one screen.

`check.analysis.analyse` loads and checks the source; here its project is prepared, and each block goes the rest of
the way. The command line does nothing else: it lends an engine, and shows what is reported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from dspec.runtime.artifact.artifact import write_artifact
from dspec.runtime.errors import ProviderError, Stopped
from dspec.runtime.models.engine import Engine, Tally

from .. import ir
from ..data.needs import compile_needs
from ..evaluate.budget import wall_of
from ..evaluate.events import Report
from ..evaluate.store import Store
from ..evaluate.tasks import Halt
from .build import Built, run_steps
from .evals import EvalResult, Walls, evaluate_each
from .plan import Plan, plan
from .prepared import Prepared


class Job(Struct, frozen=True):
    """One block to compile: its plan, where the artifact goes, and the evals to run on the result."""

    plan: Plan
    artifact: Path
    evals: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.plan.optimize


class Compiled(Struct, frozen=True):
    """A job's result. `tally` counts what this process really asked for."""

    job: Job
    built: Built
    evals: tuple[EvalResult, ...]
    tally: Tally
    cut: Halt | None = None
    """Why not all of the evals are there."""

    @property
    def stopped(self) -> bool:
        return self.built.status == "stopped" or isinstance(self.cut, Stopped)


def plan_blocks(
    project: ir.Project, names: Sequence[str], folder: Path, out: Path, *, evals: bool
) -> tuple[Prepared, list[Job]]:
    """Read what these blocks of a checked project need, and plan each of them. Asks no model."""
    prepared = Prepared(project, folder, compile_needs(project, names))
    jobs: list[Job] = []
    for name in names:
        scoring = [block.name for block in project.evals.values() if block.program == name] if evals else []
        artifact = Path(os.path.relpath(out / f"{name}.dspc.json"))
        jobs.append(Job(plan(prepared, name), artifact, tuple(scoring)))
    return prepared, jobs


async def compile_block(
    prepared: Prepared, job: Job, *, engine: Engine, store: Store, report: Report
) -> Compiled:
    """Run the steps, select, and write the artifact; then score it with the block's evals."""
    wall = wall_of(prepared.project.optimizes[job.name].budget)
    try:
        ran = await run_steps(prepared, job.plan, engine=engine, store=store, wall=wall, report=report)
        built = ran.select()
        write_artifact(job.artifact, built.artifact)
        evals, cut = await evaluate_each(
            prepared,
            job.evals if built.status == "complete" else (),
            walls=Walls(prepared.project, {job.name: wall}),
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
