"""`dspc import`: a state that DSPy saved, as an artifact of a program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dspec.runtime.errors import ArtifactError

from .console import Exit, fail, stderr, stdout

PICKLES = (".pkl", ".pickle", ".cloudpickle", ".pt", ".joblib")


def import_state(
    state: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help='What DSPy\'s `Module.save("FILE.json")` wrote.', show_default=False
        ),
    ],
    into: Annotated[
        str,
        typer.Option(
            metavar="SOURCE[:NAME]",
            help="The .dspec file, and the module or program there whose state it is.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The artifact; `compiled/NAME.dspc.json` beside the source unless said."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an artifact that is there.")] = False,
) -> None:
    """Give a program the instructions, descriptions of fields and demos that DSPy saved, as an artifact.

    The file is read as data. Models, addresses, traces and whatever else it holds are left where they are."""
    from dspec.runtime.artifact.artifact import Artifact, read_json, write_artifact
    from dspec.runtime.artifact.dspy_layouts import in_todays_layout
    from dspec.runtime.artifact.dspy_state import with_dspy_state

    from ..compile.provenance import imported_from
    from .sources import checked, compiled_from_here, pick_program

    _refuse_pickles(state)
    path, name = _target(into)
    _, project = checked(path)
    chosen = pick_program(project, name, path)
    place = output or compiled_from_here(path) / f"{chosen}.dspc.json"
    if place.exists() and not force:
        fail(
            f"{place} is there already",
            help="`--output` says another place, `--force` writes over it",
            code=Exit.USAGE,
        )
    saved = read_json(state)
    try:
        program = with_dspy_state(project.programs[chosen], saved)
    except ArtifactError as error:
        raise ArtifactError(f"{state}: {error.message}", help=error.help) from None
    made = Artifact(
        name=chosen,
        program=program,
        provenance=imported_from(project.programs[chosen], program),
        notes=(f"imported from a state that DSPy saved ({state.name}); it was not scored here",),
    )
    try:
        write_artifact(place, made)
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    if in_todays_layout(saved)[1]:
        stderr().print(
            "note: the state is of an older DSPy: what it does not say of fields stays as the source has it"
        )
    demos = sum(len(one.demos) for one in program.predictors.values())
    stdout().print(
        f"{place}: `{chosen}` with {len(program.predictors)} predictor{'s' * (len(program.predictors) != 1)} and "
        f"{demos} demo{'s' * (demos != 1)}",
        markup=False,
    )


def _refuse_pickles(state: Path) -> None:
    if state.is_dir() or state.suffix.lower() in PICKLES:
        what = "a folder of `save_program=True`" if state.is_dir() else "a pickle"
        fail(
            f"{state} is {what}, which runs code when it is opened: it is not read",
            help='load it in DSPy, where you trust it, and save the state: `program.save("state.json")`',
            code=Exit.USAGE,
        )


def _target(text: str) -> tuple[Path, str | None]:
    """`program.dspec:name`; a drive's letter is no name."""
    before, colon, name = text.rpartition(":")
    if colon and before.endswith(".dspec") and name:
        return Path(before), name
    if not text.endswith(".dspec") and not Path(text).is_dir():
        fail(f"`{text}` is no .dspec file", help="for example `--into router.dspec:router`", code=Exit.USAGE)
    return _only_file(Path(text)), None


def _only_file(path: Path) -> Path:
    from .sources import one_file

    return one_file(path)
