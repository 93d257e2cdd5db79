"""ReAct: an agent that thinks, calls a tool and looks at what it gave, until it knows the answer."""

from __future__ import annotations

from .base import ModuleStrategy, StrategyOption

STRATEGY = ModuleStrategy(
    name="ReAct",
    doc="An agent that calls tools until it knows the answer.",
    options=(
        StrategyOption("tools", "tools", "The externs, modules and programs that it may call."),
        StrategyOption("max_iters", "integer", "Tool calls at most.", 20),
    ),
    missing="no tool can be called",
)
