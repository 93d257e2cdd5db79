"""python: a function of the project in the place of a model."""

from __future__ import annotations

from .base import ModuleStrategy

STRATEGY = ModuleStrategy(
    name="python",
    doc="A Python function of the project instead of a model.",
    missing="a function of the project in the place of a module",
)
