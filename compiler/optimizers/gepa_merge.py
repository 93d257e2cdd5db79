"""Crossing two candidates that grew from one ancestor: GEPA's merge. Arithmetic only.

Algorithm: the system-aware merge of Agrawal et al., 2025 (arXiv:2507.19457). Where only one of the two has
changed a component since the ancestor, the child takes the change; where both have, the better one's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence

from msgspec import Struct

TRIES = 10
"""Pairs that are drawn before there is said to be nothing to merge."""
SUBSAMPLE = 5
"""Rows of val on which a merge is compared with its parents before it is scored on all."""


class Merge(Struct, frozen=True):
    """Places of two candidates, the smaller one first, and of the ancestor they share."""

    first: int
    second: int
    ancestor: int


class Lineage(Struct, frozen=True):
    """One candidate: its components' texts, the places of its parents, and its mean score."""

    texts: tuple[str, ...]
    parents: tuple[int, ...]
    score: float


def ancestors(pool: Sequence[Lineage], place: int) -> frozenset[int]:
    """Everything a candidate grew from, itself not included. Parents stand before their children."""
    found: set[int] = set()
    waiting = list(pool[place].parents)
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting += pool[parent].parents
    return frozenset(found)


def complementary(pool: Sequence[Lineage], merge: Merge) -> bool:
    """Whether some component differs between the two and was changed by only one of them."""
    texts = zip(*(pool[place].texts for place in (merge.first, merge.second, merge.ancestor)), strict=True)
    return any(one != other and origin in (one, other) for one, other, origin in texts)


def child(pool: Sequence[Lineage], merge: Merge) -> tuple[str, ...]:
    """The components of the merged candidate; of two changes the better parent's, on a tie the earlier's."""
    first, second, ancestor = pool[merge.first], pool[merge.second], pool[merge.ancestor]
    better, worse = (second, first) if second.score > first.score else (first, second)
    return tuple(
        changed if kept == origin else kept
        for kept, changed, origin in zip(better.texts, worse.texts, ancestor.texts, strict=True)
    )


def find_merge(
    pool: Sequence[Lineage], among: Sequence[int], tried: Collection[Merge], rng: random.Random
) -> Merge | None:
    """Two of the candidates `among` that may gain from each other, or None when the draws find none.

    An ancestor that scores higher than one of the two is no good origin. Of the others, the better ones are likelier.
    """
    if len(among) < 2:
        return None
    for _ in range(TRIES):
        first, second = sorted(rng.sample(list(among), 2))
        ours, theirs = ancestors(pool, first), ancestors(pool, second)
        limit = min(pool[first].score, pool[second].score)
        merges = [Merge(first, second, origin) for origin in sorted(ours & theirs)]
        fitting = [
            merge
            for merge in merges
            if merge not in tried and pool[merge.ancestor].score <= limit and complementary(pool, merge)
        ]
        if first in theirs or not fitting:
            continue
        weights = [pool[merge.ancestor].score for merge in fitting]
        return rng.choices(fitting, weights)[0] if any(weights) else rng.choice(fitting)
    return None


def subsample(first: Sequence[float], second: Sequence[float], rng: random.Random) -> list[int]:
    """Up to `SUBSAMPLE` rows, about as many where either parent is better and where neither is."""
    rows = range(len(first))
    groups = (
        [row for row in rows if first[row] > second[row]],
        [row for row in rows if first[row] < second[row]],
        [row for row in rows if first[row] == second[row]],
    )
    share = math.ceil(SUBSAMPLE / len(groups))
    drawn = [row for group in groups for row in rng.sample(group, min(share, len(group)))][:SUBSAMPLE]
    rest = [row for row in rows if row not in drawn]
    drawn += rng.sample(rest, min(SUBSAMPLE - len(drawn), len(rest)))
    return sorted(drawn)
