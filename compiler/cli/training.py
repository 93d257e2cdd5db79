"""`dspc training`: the trainings of a project: how far they are, ended, or their rows written elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..diagnostics.wording import plural
from .console import Exit, fail, print_json, stderr, stdout
from .sources import spared

if TYPE_CHECKING:
    from ..optimizers.training.base import TrainingJob


def training(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A .dspec file of the project.", show_default=False)
    ],
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="The beginning of a training's key.", show_default=False),
    ] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End the training, here or at the provider.")
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            callback=spared,
            help="Write the rows that it is trained on, as JSONL.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the trainings of a project, end one, or write its rows to a file."""
    import asyncio

    import msgspec

    from dspec.runtime.artifact.files import write_whole

    from ..optimizers.training import jobs
    from ..project.state import project_root, state_place
    from .sources import checked

    state = state_place(project_root(path))
    known = [(folder, job) for folder, job in jobs.listed(state) if key is None or job.key.startswith(key)]
    if key is None and not cancel and rows is None:
        if json:
            print_json(msgspec.json.encode([job for _, job in known]).decode())
        for _, job in known if not json else ():
            stdout().print(_line(job), markup=False, highlight=False)
        if not known and not json:
            stdout().print("nothing was trained in this project")
        return
    if len(known) != 1:
        what = "no training has" if not known else f"{len(known)} trainings have"
        fail(f"{what} a key that begins so", help=f"`dspc training {path}` lists them", code=Exit.USAGE)
    folder, job = known[0]
    if rows is not None:
        try:
            write_whole(rows, (folder / "rows.jsonl").read_bytes())
        except OSError as error:
            fail(f"the rows cannot be written to {rows}: {error.strerror or error}", code=Exit.USAGE)
    if cancel and job.state == "done":
        fail(f"{job.key[:12]} is done: there is nothing to end, and what it made is kept", code=Exit.USAGE)
    if cancel:
        from ..optimizers.training.service import task_of

        _, project = checked(path)
        lms = [lm for lm in project.lms.values() if lm.model == job.base]
        if not lms:
            fail(f"no lm of {path} is {job.base}, so nobody knows where the job is", code=Exit.USAGE)
        trainer, task = task_of(folder, job, lms[0])
        asyncio.run(trainer.cancel(task))
        stderr().print(f"{job.key[:12]}: {job.state}", markup=False)


def _line(job: TrainingJob) -> str:
    told = [job.key[:12], job.state, job.base, plural(job.rows, "row")]
    if job.id:
        told.append(f"job {job.id}")
    if job.usd:
        told.append(f"${job.usd:,.2f}")
    if job.error:
        told.append(job.error)
    return "  ".join(told)
