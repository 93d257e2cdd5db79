"""`dspc show`: what is in a file: the checked IR of a source, the program in an artifact."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..diagnostics.wording import plural
from .console import Exit, fail, print_json, stdout

if TYPE_CHECKING:
    from rich.console import Console

    from dspec.runtime.artifact.artifact import Artifact
    from dspec.runtime.schema.ensemble import Runnable
    from dspec.runtime.schema.program import Demo, Program


def show(
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An artifact (.dspc.json) or a .dspec file.", show_default=False),
    ],
    ir: Annotated[bool, typer.Option("--ir", help="The checked IR, as JSON.")] = False,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="PREDICTOR", help="The messages that this predictor sends, inputs as blanks."),
    ] = None,
) -> None:
    """Show an artifact: instructions, demos, scores. Or the programs of a .dspec file."""
    from dspec.runtime.artifact.artifact import read_artifact
    from dspec.runtime.schema.ensemble import parts

    console = stdout()
    if target.suffix != ".dspec":
        artifact = read_artifact(target)
        if ir:
            print_json(artifact.program.model_dump_json(indent=2))
        elif prompt is not None:
            holder = next((p for p in parts(artifact.program) if prompt in p.predictors), None)
            draw_prompt(console, holder or parts(artifact.program)[0], prompt)
        else:
            draw_artifact(console, artifact)
        return
    from .sources import checked

    _, project = checked(target)
    if ir:
        print_json(project.model_dump_json(indent=2))
    elif prompt is not None:
        holder = next((p for p in project.programs.values() if prompt in p.predictors), None)
        if holder is None:
            known = sorted({name for program in project.programs.values() for name in program.predictors})
            fail(f"there is no predictor `{prompt}`", help=f"there is {', '.join(known)}", code=Exit.USAGE)
        draw_prompt(console, holder, prompt)
    else:
        for program in project.programs.values():
            draw_program(console, program)


def draw_artifact(console: Console, artifact: Artifact) -> None:
    for role, score in artifact.scores.items():
        console.print(
            f"{score.metric}{score.over_rows} on {role}: {100 * score.score:.1f} "
            f"({100 * score.low:.1f} to {100 * score.high:.1f}, {plural(score.n, 'row')})"
            + ("" if score.corrected is None else f", {100 * score.corrected:.1f} without its luck"),
            markup=False,
        )
    if artifact.provenance.scoring == "none":
        console.print('not scored, as `scoring = "none"` said', markup=False)
    for step in artifact.provenance.steps:
        console.print(f"step {step.name}: {step.optimizer}, {plural(step.calls, 'call')}", markup=False)
    draw_runnable(console, artifact.program)


def draw_runnable(console: Console, runnable: Runnable) -> None:
    """A program, or an ensemble's members one after the other."""
    from dspec.runtime.schema.ensemble import Ensemble

    if not isinstance(runnable, Ensemble):
        draw_program(console, runnable)
        return
    reduce, count = runnable.reduce, len(runnable.members)
    match reduce.kind:
        case "first":
            rule = "first"
        case "program":
            rule = f"reduced by {reduce.program.name}"
        case _:
            rule = f"{reduce.kind}({reduce.field})"
    asked = "all answer" if runnable.size is None else f"{runnable.size} answer each input"
    console.print(f"ensemble of {count}: {rule}; {asked}", markup=False)
    for place, member in enumerate(runnable.members):
        console.print(Text(f"\nmember {place + 1} of {count}", "bold"))
        draw_program(console, member)
    if runnable.reducer is not None:
        console.print(Text("\nreducer", "bold"))
        draw_program(console, runnable.reducer)


def draw_program(console: Console, program: Program) -> None:
    from dspec.runtime.schema.types import spell

    inputs = ", ".join(f"{field.name}: {spell(field.type)}" for field in program.inputs)
    outputs = ", ".join(f"{field.name}: {spell(field.type)}" for field in program.outputs)
    console.print(Text.assemble("\n", (program.name, "bold"), f"({inputs}) -> ({outputs})"))
    for address, predictor in program.predictors.items():
        lm = predictor.asks(program.lms)
        model = predictor.lm if lm is None else lm.model
        console.print(Text.assemble("\n", (address, "bold"), f"  {predictor.strategy} on {model}"))
        if predictor.settings is not None:
            own = predictor.settings.model_dump(mode="json", exclude_none=True)
            said = ", ".join(
                f"{name} = {jsonlib.dumps(value, ensure_ascii=False)}" for name, value in own.items()
            )
            console.print(f"  asked with {said}", markup=False)
        console.print(f"  {predictor.signature.instruction}", markup=False)
        for text in predictor.signature.fixed:
            console.print(f"  {text}  (fixed)", markup=False)
        for demo in predictor.demos:
            draw_demo(console, demo, "  demo")
    for key, tool in program.tools.items():
        console.print(Text.assemble("\n", (key, "bold"), f"  a tool from {tool.source}"))
        if tool.description:
            console.print(f"  {tool.description}", markup=False)
    if program.neighbours is not None:
        index = program.neighbours
        console.print(
            f"\n  shows each input the demos of the {index.k} nearest of {plural(len(index.rows), 'row')}"
            + (f" by embeddings of {program.lms[index.lm].model}" if index.lm is not None else "")
            + ", such as",
            markup=False,
        )
        row = index.rows[0]
        console.print(f"  {row.text}", markup=False)
        for address, demo in (row.labelled | row.bootstrapped).items():
            draw_demo(console, demo, f"    {address}")


def draw_demo(console: Console, demo: Demo, before: str) -> None:
    """`given` is what a row or the file says, which a demo does not tell apart; `bootstrapped` what a model answered."""
    origin = "bootstrapped" if demo.augmented else "given"
    sides = (jsonlib.dumps(side, ensure_ascii=False) for side in (demo.inputs, demo.outputs))
    console.print(f"{before} ({origin}): {' -> '.join(sides)}", markup=False)


def draw_prompt(console: Console, program: Program, address: str) -> None:
    from dspec.runtime.running.inspecting import blank_prompt

    predictor = program.predictors.get(address)
    if predictor is None:
        fail(
            f"there is no predictor `{address}`",
            help=f"there is {', '.join(program.predictors)}",
            code=Exit.USAGE,
        )
    for message in blank_prompt(program, predictor):
        console.print(Text(f"── {message.role}", "bold"))
        console.print(message.content, markup=False)
