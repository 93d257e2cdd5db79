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
    Step,
    Tool,
    ToolStep,
    ValueStep,
    walked,
)
from dspec.runtime.values.interpret import names

from ..texts import described
from .templates import fill

MAX_STEPS = 60
"""Steps of a program that are listed."""
MAX_TOOLS = 20
"""Tools of an agent that are listed beside the one in question."""


def outline(program: Program) -> str:
    """The program's inputs, steps and outputs in a few lines."""
    graphs = (program, *program.graphs.values())
    steps = [(graph, step) for graph in graphs for step in walked(graph.steps)]
    lines: list[str] = []
    for graph, step in steps[:MAX_STEPS]:
        within = "" if graph is program else f"in `{graph.name}`, "
        lines.append(within + _line(program, step))
    return fill(
        "outline",
        name=program.name,
        inputs=_listed([field.name for field in program.inputs]),
        outputs=_listed([field.name for field in program.outputs]),
        steps=lines,
        more=max(0, len(steps) - MAX_STEPS),
    )


def _line(program: Program, step: Step) -> str:
    """What one step does."""
    match step:
        case CallStep(name=name, predictor=address, arguments=arguments):
            outputs = program.predictors[address].signature.outputs
            sources = sorted(frozenset[str]().union(*map(names, arguments.values())))
            gives = _listed([field.name for field in outputs])
            return f"`{name}` asks the module `{address}`, from {_listed(sources)}, for {gives}"
        case ValueStep(name=name, value=value):
            return f"`{name}` is computed from {_listed(sorted(names(value)))}"
        case (
            RunStep(name=name, runs=key, arguments=arguments)
            | ToolStep(name=name, tool=key, arguments=arguments)
        ):
            sources = sorted(frozenset[str]().union(*map(names, arguments.values())))
            kind = "tool" if key in program.tools else "module" if key in program.modules else "program"
            return f"`{name}` runs the {kind} `{key}`, from {_listed(sources)}"
        case BranchStep(name=name, condition=condition):
            return f"`{name}` is one of two, chosen by {_listed(sorted(names(condition)))}"
        case EachStep(name=name, iterable=iterable):
            return f"`{name}` is made for each of {_listed(sorted(names(iterable)))}"
        case RepeatStep(name=name, times=times, start=start):
            return f"`{name}` improves {_listed(sorted(start))} in {times} rounds at most"
        case CheckStep(check=check):
            return f"a check on {_listed(sorted(names(check.condition)))}"


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


def tool_role(program: Program, key: str) -> str:
    """The one tool whose description is wanted, and the agents that are told of it."""
    tool = program.tools[key]
    agents: list[dict[str, object]] = []
    for name in described(program)[key]:
        module = program.modules[name]
        others = [other for other in module.tools if other != key]
        instructions = (program.predictors[one].signature.instruction for one in module.predictors.values())
        agents.append(
            {
                "name": name,
                "others": [_other(program, other) for other in others[:MAX_TOOLS]],
                "task": next((text for text in instructions if text), ""),
            }
        )
    return fill(
        "tool",
        name=key,
        gives=_gives(tool, program.records),
        inputs=[_field(field, program.records) for field in tool.inputs],
        agents=agents,
    )


def _gives(tool: Tool, records: Mapping[str, Record]) -> str:
    from dspec.runtime.adapters.words import in_words

    if tool.output is not None:
        return in_words(tool.output, records, set())
    return ", ".join(_field(field, records) for field in tool.outputs)


def _other(program: Program, key: str) -> str:
    tool = program.tools.get(key)
    note = " ".join(tool.description.split()) if tool is not None else ""
    return f"{key}: {note}" if note else key


def _field(field: FieldSpec, records: Mapping[str, Record]) -> str:
    from dspec.runtime.adapters.words import in_words

    note = " ".join(field.description.split())
    return f"{field.name} ({in_words(field.type, records, set())})" + (f", {note}" if note else "")


def _listed(items: Sequence[str]) -> str:
    return ", ".join(f"`{item}`" for item in items) or "nothing"
