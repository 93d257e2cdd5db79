"""What `dspc compile` is asked to do, and what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from dspec.runtime.models.engine import Tally

    from ..compile.build import Built, EvalResult
    from ..evaluate.tasks import Halt
    from ..ir import Project


class Job(Struct, frozen=True):
    """One optimize block to compile. `base` is the source's folder, `artifact` where the result goes."""

    project: Project
    name: str
    base: Path
    artifact: Path
    planned: int
    """Model calls at most, evals included, as `dspc plan` gives them."""
    evals: tuple[str, ...]
    """The eval blocks to run on the result."""


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
        from dspec.runtime.errors import Stopped

        return self.built.status == "stopped" or isinstance(self.cut, Stopped)


def make_job(project: Project, name: str, base: Path, out: Path, evals: bool) -> Job:
    from ..compile.plan import plan

    scoring = [block.name for block in project.evals.values() if block.program == name] if evals else []
    place = Path(os.path.relpath(out / f"{name}.dspc.json"))
    return Job(project, name, base, place, plan(project, name, base).most, tuple(scoring))
