"""The list of strategies: those that run, and those that are checked and do not run yet.

Check, plan, running, prompts, editor and docs ask here and nowhere else.
"""

from __future__ import annotations

import heapq
from importlib import import_module

from ...errors import ConfigurationError
from ...schema.ensemble import Ensemble, Runnable
from ...schema.program import CallStep, Predictor
from .base import ModuleStrategy

_FILES = (
    "predict",
    "chain_of_thought",
    "react",
    "program_of_thought",
    "multi_chain_comparison",
    "best_of_n",
    "refine",
    "python_function",
)
"""Those that run first, simplest first."""


def _record(file: str) -> ModuleStrategy:
    return import_module(f".{file}", __package__).STRATEGY


STRATEGIES: dict[str, ModuleStrategy] = {strategy.name: strategy for strategy in map(_record, _FILES)}
"""By the name that a `module` uses."""


def running() -> dict[str, ModuleStrategy]:
    """Those that run."""
    return {name: strategy for name, strategy in STRATEGIES.items() if not strategy.missing}


def strategy_of(predictor: Predictor) -> ModuleStrategy:
    """The strategy of a predictor. Raises ConfigurationError for one that this version does not run."""
    found = STRATEGIES.get(predictor.strategy)
    if found is None or found.missing:
        raise ConfigurationError(f"there is no strategy `{predictor.strategy[:80]}` that runs")
    return found


def calls_per_run(program: Runnable) -> int:
    """Model calls of one run at most, when every answer parses and every check holds."""
    if isinstance(program, Ensemble):
        calls = [calls_per_run(member) for member in program.members]
        reducing = 0 if program.reducer is None else calls_per_run(program.reducer)
        return sum(heapq.nlargest(program.size or len(calls), calls)) + reducing
    embedding = program.neighbours is not None and program.neighbours.lm is not None
    asked = [program.predictors[step.predictor] for step in program.steps if isinstance(step, CallStep)]
    return sum(strategy_of(predictor).calls for predictor in asked) + embedding


def added() -> frozenset[str]:
    """Outputs that some strategy adds, so that whoever compares programs by their outputs need not find them."""
    return frozenset(field.name for strategy in STRATEGIES.values() for field in strategy.adds)
