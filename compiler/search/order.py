"""The order in which rows are looked at: every beginning of it is as hard as the whole.

Rows are grouped by what the program at the start scored on them, shuffled within a group, and the
groups are merged in proportion. A score on the first few rows is then far less a matter of luck than on
a random draw (proportional stratification), and it stays an honest sample of all rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def stratified(scores: Sequence[float], rng: random.Random) -> tuple[int, ...]:
    """A permutation of the places 0 … len(scores) − 1, depending on scores and draws alone."""
    groups: dict[float, list[int]] = {}
    for place, score in enumerate(scores):
        groups.setdefault(score, []).append(place)
    positions: list[tuple[float, float, int]] = []
    for score in sorted(groups):
        places = groups[score]
        rng.shuffle(places)
        # The j-th of n stands at a random point of the j-th n-th part, so that no group always comes first.
        positions += [((j + rng.random()) / len(places), score, place) for j, place in enumerate(places)]
    return tuple(place for _, _, place in sorted(positions))
