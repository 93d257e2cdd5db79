"""A model of combinations: a score is a mean plus one effect for every option taken.

So a few results tell something of every combination, and results that share an option steady each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from .space import Choice

SWEEPS = 8


class Result(Struct, frozen=True):
    """What a combination scored, and how much that counts: rows, or 1."""

    choice: Choice
    score: float
    weight: float = 1.0


class Additive(Struct, frozen=True):
    """`effects` holds one number per dimension and option, `weights` what each rests on."""

    mean: float
    effects: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, ...], ...]

    def predict(self, choice: Choice) -> float:
        return self.mean + math.fsum(
            effects[option] for effects, option in zip(self.effects, choice, strict=True)
        )


def fit(sizes: Sequence[int], results: Sequence[Result], prior: float) -> Additive:
    """One dimension at a time, the others held (backfitting); effects shrink as if `prior` more weight had
    shown none."""
    total = math.fsum(result.weight for result in results)
    mean = math.fsum(result.weight * result.score for result in results) / total if total else 0.0
    effects = [[0.0] * size for size in sizes]
    weights = [
        [
            math.fsum(result.weight for result in results if result.choice[dimension] == option)
            for option in range(size)
        ]
        for dimension, size in enumerate(sizes)
    ]
    for _ in range(SWEEPS):
        for dimension, size in enumerate(sizes):
            found: list[list[float]] = [[] for _ in range(size)]
            for result in results:
                others = math.fsum(
                    effects[other][option] for other, option in enumerate(result.choice) if other != dimension
                )
                found[result.choice[dimension]].append(result.weight * (result.score - mean - others))
            effects[dimension] = [
                math.fsum(part) / (weight + prior)
                for part, weight in zip(found, weights[dimension], strict=True)
            ]
    return Additive(mean, tuple(map(tuple, effects)), tuple(map(tuple, weights)))
