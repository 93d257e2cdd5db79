"""The texts of a program that an optimizer may write anew: instructions of predictors, and descriptions of tools.

A tool's description is one where a model reads it, an agent's. Of a tool that only steps call nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterable

from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.program import Program, canonical

from .base import Spec


def described(program: Program) -> dict[str, tuple[str, ...]]:
    """The tools whose description a model reads, by key in the program's order, each with the modules that tell it."""
    readers: dict[str, tuple[str, ...]] = {}
    for name, module in program.modules.items():
        if STRATEGIES[module.strategy].tells_tools:
            readers |= {key: (*readers.get(key, ()), name) for key in module.tools}
    return {key: readers[key] for key in program.tools if key in readers}


def tunable_tools(program: Program) -> tuple[str, ...]:
    """Those of them that an optimizer may describe anew."""
    from .frozen import PartlyFrozen  # which a check has no use for

    frozen = program.frozen if isinstance(program, PartlyFrozen) else frozenset[str]()
    return tuple(key for key in described(program) if key not in frozen)


def texts(program: Program) -> dict[str, str]:
    """What may be written anew, by address: the instructions first, then the descriptions."""
    from .frozen import tunable

    return {address: text_of(program, address) for address in (*tunable(program), *tunable_tools(program))}


def text_of(program: Program, address: str) -> str:
    """A predictor's instruction, or a tool's description."""
    tool = program.tools.get(address)
    return program.predictors[address].signature.instruction if tool is None else tool.description


def describes(specs: Iterable[Spec | None]) -> bool:
    """Whether one of the optimizers writes descriptions."""
    return any(spec is not None and "descriptions" in spec.sets for spec in specs)


def prompt_tokens(program: Program) -> int:
    """Tokens of the instructions and demos that a step may change, by rule: what of its prompts it is to answer for."""
    from dspec.runtime.models.transports.answers import estimate_text  # which a check has no use for

    from .frozen import tunable

    return sum(
        estimate_text(predictor.signature.instruction)
        + sum(estimate_text(canonical([demo.inputs, demo.outputs])) for demo in predictor.demos)
        for predictor in tunable(program).values()
    )
