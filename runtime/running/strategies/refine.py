"""Refine: several answers, each after advice on what the one before lacked."""

from __future__ import annotations

from .base import ModuleStrategy
from .best_of_n import REWARD

STRATEGY = ModuleStrategy(
    name="Refine",
    doc="Several answers, each with advice on the one before; the one with the best reward counts.",
    options=REWARD,
    missing="no metric is asked while a program runs",
)
