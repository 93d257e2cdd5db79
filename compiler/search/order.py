"""The order in which rows are looked at: every beginning of it is as hard as the whole.

Rows are grouped by what the program at the start scored on them, shuffled within a group, and the
groups are merged in proportion. A score on the first few rows is then far less a matter of luck than on
a random draw (proportional stratification), and it stays an honest sample of all rows.

Where aggregates read labels, the rows of each label are ordered so by themselves, and the labels take turns: a number in which
every label counts the same is learned soonest from as many rows of each. What such a beginning holds more of than the whole
is weighed the less (`weights`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from ..evaluate.shares import labels_of


def in_turn(scores: Sequence[float], rng: random.Random) -> tuple[int, ...]:
    """A permutation of the places 0 … len(scores) − 1, depending on scores, their labels and draws alone."""
    labelled: dict[tuple[object, ...], list[int]] = {}
    for place, score in enumerate(scores):
        labelled.setdefault(labels_of(score), []).append(place)
    if len(labelled) < 2:
        return stratified(scores, rng)
    turns: list[tuple[float, int]] = []
    for places in labelled.values():
        order = stratified([scores[place] for place in places], rng)
        turns += [(turn + rng.random(), places[at]) for turn, at in enumerate(order)]
    return tuple(place for _, place in sorted(turns))


def weights(ordered: Sequence[float], rows: int) -> list[float] | None:
    """By the scores of all rows in their order: for how many rows of its labels each of the first `rows` stands; None where
    all stand for as many."""
    labels = [labels_of(score) for score in ordered]
    seen, every = Counter(labels[:rows]), Counter(labels)
    if len(every) < 2 or rows >= len(ordered):
        return None
    return [every[one] / seen[one] for one in labels[:rows]]


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
