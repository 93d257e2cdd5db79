"""Which candidates lead on which rows: GEPA's choice of a parent. Arithmetic only.

Algorithm: the Pareto-based candidate selection of Agrawal et al., 2025 (arXiv:2507.19457). A candidate that
is the best on some row knows something that the others do not, however it does on average.

Everywhere, `scores[c][r]` is the score of candidate c on row r; all candidates have the same rows, at
least one. With aggregates that is the row's share of the credit, and a candidate's mean is what they make of all rows (`shares`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..evaluate.shares import overall

Scores = Sequence[Sequence[float]]


def best(scores: Scores) -> int:
    """The candidate with the highest number, the earliest of equals."""
    means = [overall(one) for one in scores]
    return means.index(max(means))


def leaders(scores: Scores) -> list[frozenset[int]]:
    """For each row the candidates that no other one beats there."""
    found: list[frozenset[int]] = []
    for column in zip(*scores, strict=True):
        top = max(column)
        found.append(frozenset(place for place, score in enumerate(column) if score == top))
    return found


def wins(scores: Scores) -> dict[int, int]:
    """For each candidate that matters, the number of rows that it leads on.

    A candidate does not matter if, on every row where it leads, another one that matters leads, too. Candidates
    with worse means are looked at first, so that of two that lead on the same rows the one with the better mean
    stays, and of equal ones the earlier.
    """
    fronts = leaders(scores)
    means = [overall(one) for one in scores]
    kept = set[int]().union(*fronts)
    for candidate in sorted(kept, key=lambda place: (means[place], -place)):
        others = kept - {candidate}
        if all(front & others for front in fronts if candidate in front):
            kept = others
    return {candidate: sum(candidate in front for front in fronts) for candidate in sorted(kept)}


def draw_parent(scores: Scores, rng: random.Random) -> int:
    """A candidate that matters, the more likely the more rows it leads on."""
    weights = wins(scores)
    return rng.choices(list(weights), list(weights.values()))[0]
