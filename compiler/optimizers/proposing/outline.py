"""What a proposer is told of the program: read off its graph, exactly and without asking a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.runtime.running.strategies.table import strategy_of
from dspec.runtime.schema.program import CallStep, CheckStep, FieldSpec, Program, Record, ValueStep
from dspec.runtime.values.interpret import names

from .templates import fill

MAX_STEPS = 60
"""Steps of a program that are listed."""


def outline(program: Program) -> str:
    """The program's inputs, steps and outputs in a few lines."""
    lines: list[str] = []
    for step in program.steps[:MAX_STEPS]:
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
            case CheckStep(check=check):
                lines.append(f"a check on {_listed(sorted(names(check.condition)))}")
    return fill(
        "outline",
        name=program.name,
        inputs=_listed([field.name for field in program.inputs]),
        outputs=_listed([field.name for field in program.outputs]),
        steps=lines,
        more=max(0, len(program.steps) - MAX_STEPS),
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
