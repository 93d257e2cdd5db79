"""The list of strategies, by the name that a module uses.

Check, plan, running, prompts, editor and docs ask here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ConfigurationError
from ...schema.program import ModuleSpec, Predictor, Program
from ..filetable import FileTable
from .base import Conduct, ModuleStrategy, Times

_FILES: dict[str, str] = {
    "Predict": "predict",
    "ChainOfThought": "chain_of_thought",
    "ReAct": "react",
    "ProgramOfThought": "program_of_thought",
    "CodeAct": "code_act",
    "RLM": "rlm",
    "MultiChainComparison": "multi_chain_comparison",
    "BestOfN": "best_of_n",
    "Refine": "refine",
    "Majority": "majority",
    "python": "python_function",
}
"""The simplest at the top."""

STRATEGIES: Mapping[str, ModuleStrategy] = FileTable[ModuleStrategy](__package__, _FILES, "STRATEGY")
"""The strategies, by the name that a `module` uses."""


def of_one_call() -> dict[str, ModuleStrategy]:
    """The strategies that a predictor can have."""
    return {name: strategy for name, strategy in STRATEGIES.items() if strategy.conduct is None}


def of_several_calls() -> dict[str, ModuleStrategy]:
    """The strategies that a `ModuleSpec` can have."""
    return {name: strategy for name, strategy in STRATEGIES.items() if strategy.conduct is not None}


def strategy_named(name: str, *, several: bool) -> ModuleStrategy | None:
    """The strategy of that name, if there is one of one call, or of several."""
    one = STRATEGIES.get(name)
    return None if one is None or (one.conduct is not None) != several else one


def strategy_of(predictor: Predictor) -> ModuleStrategy:
    """The strategy of a predictor. Raises ConfigurationError for one that this version does not run."""
    one = strategy_named(predictor.strategy, several=False)
    if one is None:
        raise ConfigurationError(f"there is no strategy `{predictor.strategy[:80]}` that runs in one call")
    return one


def conducted(module: ModuleSpec) -> Conduct:
    """How a module of several calls answers. Raises ConfigurationError for a strategy that this version does not run."""
    one = strategy_named(module.strategy, several=True)
    if one is None or one.conduct is None:
        raise ConfigurationError(f"there is no strategy `{module.strategy[:80]}` that runs several calls")
    return one.conduct


def times_of(module: ModuleSpec) -> Mapping[str, Times]:
    """How often a run of the module asks each of its roles, and does what is no role's (`base.RUNS` and so on)."""
    one = strategy_named(module.strategy, several=True)
    return {} if one is None or one.times is None else one.times(module)


def check_sandbox(program: Program) -> None:
    """Raises ConfigurationError where a module runs code, and there is no sandbox here."""
    for key, module in program.modules.items():
        one = strategy_named(module.strategy, several=True)
        if one is not None and one.code is not None:
            from ...tools.sandbox import check_installed  # few programs run code

            check_installed(key)


def added() -> frozenset[str]:
    """Names of outputs that some strategy adds. Where programs are compared by their outputs, one may lack these."""
    return frozenset(field.name for strategy in STRATEGIES.values() for field in strategy.adds)
