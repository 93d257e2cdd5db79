"""BestOfN: the best of several answers, by a metric that needs no gold labels."""

from __future__ import annotations

from .base import ModuleStrategy, StrategyOption

REWARD = (
    StrategyOption("n", "integer", "Answers to choose from at most."),
    StrategyOption("reward", "metric", "Says how good an answer is."),
    StrategyOption("threshold", "number", "The reward from which an answer is good enough."),
)

STRATEGY = ModuleStrategy(
    name="BestOfN",
    doc="Several answers to the same inputs; the one with the best reward counts.",
    options=REWARD,
    missing="no metric is asked while a program runs",
)
