"""BestOfN: the best of several answers, by a metric that needs no gold labels."""

from __future__ import annotations

from ...schema.types import Row
from .attempts import OPTIONS, best, times
from .base import Conductor, ModuleStrategy


async def _conduct(work: Conductor, inputs: Row) -> Row:
    return await best(work, inputs)


STRATEGY = ModuleStrategy(
    name="BestOfN",
    doc="Several attempts at the same inputs; the one with the best reward counts.",
    options=OPTIONS,
    conduct=_conduct,
    times=times,
    tries=True,
    manner="answers several times and keeps the best",
)
