"""What a step on DSPy's schedule works on: a program whose modules of several calls do as DSPy's do."""

from __future__ import annotations

from dspec.runtime.running.strategies.base import COMPAT
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.program import Program

from ..frozen import PartlyFrozen, freeze, thaw


def as_dspy(program: Program) -> Program:
    """The program with prompts that do not tell beforehand what checks demand, as DSPy's do not, and with modules that do
    as DSPy's do, which an option of each module says in the artifact. Predictors that DSPy does not have are frozen."""
    told = program.untold()
    if not program.modules:
        return told
    name, value = COMPAT
    modules = {
        key: module.model_copy(update={"options": {**module.options, name: value}})
        for key, module in program.modules.items()
    }
    unknown = {
        address
        for module in program.modules.values()
        for role, address in module.predictors.items()
        if not STRATEGIES[module.strategy].roles[role].dspy
    }
    frozen = program.frozen if isinstance(program, PartlyFrozen) else frozenset[str]()
    return freeze(thaw(told).model_copy(update={"modules": modules}), frozen | unknown)
