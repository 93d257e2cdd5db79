"""python: a function of the project in the place of a strategy, which calls predictors, modules and tools as it likes.

The function is a tool of the program: it runs where tools run, within their limits, and an artifact names it and no
more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...schema.program import ModuleSpec
from ...schema.types import Row
from .base import FUNCTION, MAX_CALLS, TOOLS, Conductor, ModuleStrategy, StrategyOption, Times


async def _conduct(work: Conductor, inputs: Row) -> Row:
    from .function_run import outputs_of  # reading a record needs nothing that runs

    return await outputs_of(work, inputs, _most(work.module))


def _most(module: ModuleSpec) -> int:
    return cast("int", module.options.get(MAX_CALLS, 0))


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    return {FUNCTION: Times(1, 1), TOOLS: Times(0, _most(module))}


STRATEGY = ModuleStrategy(
    name="python",
    doc="A Python function of the project, which calls what it uses and gives the outputs.",
    options=(
        StrategyOption(
            "function",
            "function",
            "`module:function`, of a file beside the source, in the root or in its `src`.",
            of_function=True,
        ),
        StrategyOption("uses", "tools", "The externs, modules and programs that it may call.", optional=True),
        StrategyOption(
            MAX_CALLS, "integer", "Calls of them in one run, at most.", low=1, high=10_000, optional=True
        ),
        StrategyOption(
            "timeout",
            "number",
            "Seconds that it may take, those of its calls not counted.",
            30.0,
            low=0.1,
            high=3600,
            of_function=True,
        ),
        StrategyOption(
            "max_result",
            "integer",
            "Characters of its outputs as JSON, at most.",
            100_000,
            low=1,
            high=10_000_000,
            of_function=True,
        ),
        StrategyOption(
            "max_parallel", "integer", "Runs of it at the same time.", 16, low=1, high=256, of_function=True
        ),
    ),
    conduct=_conduct,
    times=_times,
    function="python",
    manner="runs a function that calls other modules",
)
