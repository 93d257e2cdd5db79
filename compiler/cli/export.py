"""`dspc export`: a compiled program in another tool's format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import Exit, fail, print_json, stderr


class ExportFormat(StrEnum):
    """What a program can be written as."""

    DSPY = "dspy"


def export(
    artifact: Annotated[
        Path, typer.Argument(metavar="FILE", help="An artifact (.dspc.json).", show_default=False)
    ],
    to: Annotated[
        ExportFormat, typer.Option(help="`dspy`: what `Module.load` of DSPy 3.4 reads.", show_default=False)
    ],
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS=NAME",
            help="A predictor's name in the DSPy module, as `router=classify.predict`; `self` for a module "
            "that is a bare `dspy.Predict`. Unless said: its own, with `.predict` after a chain of thought.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; standard output unless said.")
    ] = None,
) -> None:
    """Write a program's instructions and demos for another tool. The module that loads them has the same
    predictors, with the same fields in the same order."""
    import json

    from dspec.runtime.artifact.artifact import read_artifact
    from dspec.runtime.artifact.dspy_state import dspy_state, left_behind
    from dspec.runtime.artifact.files import write_whole

    assert to is ExportFormat.DSPY
    program = read_artifact(artifact).program
    state = dspy_state(program, names(predictor or []))
    for loss in left_behind(program):
        stderr().print(f"not exported: {loss}", markup=False)
    text = json.dumps(state, ensure_ascii=False, indent=2) + "\n"
    if output is None:
        print_json(text)
        return
    try:
        write_whole(output, text.encode())
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror or error}", code=Exit.USAGE)


def names(given: list[str]) -> dict[str, str]:
    """The predictors' names by their addresses."""
    found: dict[str, str] = {}
    for text in given:
        address, equals, name = text.partition("=")
        if not equals or not address.strip() or not name.strip():
            fail(
                f"`--predictor {text}` is not `ADDRESS=NAME`",
                help="for example `--predictor router=classify.predict`",
                code=Exit.USAGE,
            )
        found[address.strip()] = name.strip()
    return found
