"""What a proposer is told of the program: read off its graph, exactly and without asking a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.runtime.running.strategies.table import strategy_of
from dspec.runtime.schema.program import (
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    FieldSpec,
    Program,
    Record,
    RepeatStep,
    RunStep,
    ToolStep,
    ValueStep,
    walked,
)
from dspec.runtime.values.interpret import names

from .templates import fill

MAX_STEPS = 60
"""Steps of a program that are listed."""


def outline(program: Program) -> str:
    """The program's inputs, steps and outputs in a few lines."""
    lines: list[str] = []
    steps = list(walked(program.steps))
    for step in steps[:MAX_STEPS]:
        match step:
            case CallStep(name=name, predictor=address, arguments=arguments):
                outputs = program.predictors[address].signature.outputs
                sources = sorted(frozenset[str]().union(*map(names, arguments.values())))
                lines.append(
                    f"`{name}` asks the module `{address}`, from {_listed(sources)}, for "
                    f"{_listed([field.name for field in outputs])}"
                )
            case ValueStep(name=name, value=value):
                lines.append(f"`{name}` is computed from {_listed(sorted(names(value)))}")
            case (
                RunStep(name=name, runs=key, arguments=arguments)
                | ToolStep(name=name, tool=key, arguments=arguments)
            ):
                sources = sorted(frozenset[str]().union(*map(names, arguments.values())))
                kind = "tool" if key in program.tools else "module" if key in program.modules else "program"
                lines.append(f"`{name}` runs the {kind} `{key}`, from {_listed(sources)}")
            case BranchStep(name=name, condition=condition):
                lines.append(f"`{name}` is one of two, chosen by {_listed(sorted(names(condition)))}")
            case EachStep(name=name, iterable=iterable):
                lines.append(f"`{name}` is made for each of {_listed(sorted(names(iterable)))}")
            case RepeatStep(name=name, times=times, start=start):
                lines.append(f"`{name}` improves {_listed(sorted(start))} in {times} rounds at most")
            case CheckStep(check=check):
                lines.append(f"a check on {_listed(sorted(names(check.condition)))}")
    return fill(
        "outline",
        name=program.name,
        inputs=_listed([field.name for field in program.inputs]),
        outputs=_listed([field.name for field in program.outputs]),
        steps=lines,
        more=max(0, len(steps) - MAX_STEPS),
    )


def role(program: Program, address: str) -> str:
    """The one module whose instruction is wanted: its fields, and the text that always follows it."""
    predictor = program.predictors[address]
    signature = predictor.signature
    return fill(
        "role",
        name=address,
        manner=strategy_of(predictor).manner,
        inputs=[_field(field, program.records) for field in signature.inputs],
        outputs=[_field(field, program.records) for field in signature.outputs],
        fixed=list(signature.fixed),
    )


def _field(field: FieldSpec, records: Mapping[str, Record]) -> str:
    from dspec.runtime.adapters.words import in_words

    note = " ".join(field.description.split())
    return f"{field.name} ({in_words(field.type, records, set())})" + (f", {note}" if note else "")


def _listed(items: Sequence[str]) -> str:
    return ", ".join(f"`{item}`" for item in items) or "nothing"
