"""ProgramOfThought: the model writes code whose result is the answer."""

from __future__ import annotations

from .base import ModuleStrategy, StrategyOption

STRATEGY = ModuleStrategy(
    name="ProgramOfThought",
    doc="The model writes code, and what the code gives is the answer.",
    options=(StrategyOption("max_iters", "integer", "Attempts at code that runs.", 3),),
    missing="code that a model wrote is not run",
)
