"""MultiChainComparison: several chains of thought, and a last call that compares them."""

from __future__ import annotations

from .base import ModuleStrategy, StrategyOption

STRATEGY = ModuleStrategy(
    name="MultiChainComparison",
    doc="Several chains of thought, and one more call that compares them.",
    options=(
        StrategyOption("m", "integer", "Chains to compare.", 3),
        StrategyOption("temperature", "number", "Temperature of the chains.", 0.7),
    ),
    missing="a module has one predictor",
)
