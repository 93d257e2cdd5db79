"""Search: which of many candidate programs is best, for as few model calls as that takes.

Three parts that fit together freely. A *source* proposes arms (a list, or combinations that a
*sampler* picks from a space); a *strategy* decides which arm is scored on how many rows (`Full`,
`Minibatch`, `Racing`); the *board* keeps the scores. All arms see the rows in one order, so that any two can
be compared on the same rows. Nothing here knows of instructions or demos.
"""

from __future__ import annotations

from .board import Arm, Board
from .full import Full
from .kinship import Kinship
from .minibatch import Minibatch
from .racing import Racing
from .samplers import Bandit, Exhaustive, Sampler, TpeSampler
from .source import ArmSource, Combinations, Foreseen, Growing, Listed
from .space import Choice, Space
from .strategy import Strategy

__all__ = [
    "Arm",
    "ArmSource",
    "Bandit",
    "Board",
    "Choice",
    "Combinations",
    "Exhaustive",
    "Foreseen",
    "Full",
    "Growing",
    "Kinship",
    "Listed",
    "Minibatch",
    "Racing",
    "Sampler",
    "Space",
    "Strategy",
    "TpeSampler",
]
