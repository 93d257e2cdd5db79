"""Makes a choice among programs again on rows drawn anew, to learn how much luck there was in it.

Rows are drawn with repeats (the bootstrap: Efron, 1979), the whole choice is made on them, rounds in which a race drops
programs included, and whoever wins is looked at on the rows that were not drawn. These had no part in that choice, so there is no
luck in what it scores there (Tsamardinos, Greasidou and Borboudakis, 2018). By as much as the real winner scores more on
the same rows, chosen as it was with their help, it is lucky. Nothing is assumed of how programs differ: a few that are far
worse than the rest, and never win, change nothing.

A program that a race dropped may win such a choice. What it would have scored on rows that it never saw is then what another
program scored there, moved by how much better or worse it was on the rows that both saw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from operator import mul

from msgspec import Struct

from .outcomes import Seen, rows_seen
from .streams import stream

CHOICES, FEWEST = 200, 40
"""Choices that are made again, and how many at least where rows or programs are many."""
MOST_CELLS = 1_500_000
"""Scores looked at over all choices, as long as there are `FEWEST`."""
COMPLETED = 5
"""How often what nobody saw is made up anew."""
HALFWAY = 15
"""Rows on which a difference must have been seen to be believed by half."""


class _Race(Struct, frozen=True):
    """How a choice was made: places of rows, in the rounds in which they were first looked at, and how many programs came into
    each round."""

    rounds: tuple[tuple[int, ...], ...]
    quotas: tuple[int, ...]
    late: frozenset[int] = frozenset()
    """Programs that were in no round: they came after it, say put together from what it found, and were looked at on all rows."""


def luck_of_choice(
    before: Sequence[float], after: Sequence[float], rivals: Sequence[Seen], least: float = 0.0
) -> float:
    """How much of what the winner, which scored `after`, shows is luck: 0.0 or more, in the scores' unit.

    It was chosen from `rivals`, itself among them, and taken instead of the start, which scored `before`, for being better
    by more than `least`. Scores are of rows whose number is a mean. The same for the same scores.
    """
    race = _race(rivals, len(before))
    rows = len(before)
    times = max(FEWEST, min(CHOICES, MOST_CELLS // (rows * (1 + len(rivals)))))
    draws = stream(rows, "choices made again")
    found: list[float] = []
    result = list(after)
    arms: list[list[float]] = []
    for time in range(times):
        if time % max(1, times // COMPLETED) == 0:
            arms = list(_completed(before, rivals, draws))
        drawn = [0] * rows
        for places in race.rounds:
            for place in draws.choices(places, k=len(places)):
                drawn[place] += 1
        left = [place for place, count in enumerate(drawn) if not count]
        if left:
            winner = _winner(before, arms, race, drawn, least * rows)
            found.append(math.fsum(result[place] - winner[place] for place in left) / len(left))
    return max(0.0, math.fsum(found) / len(found)) if found else 0.0


def luck_of_foreseen(before: Sequence[float], after: Sequence[float], rivals: Sequence[Seen]) -> float:
    """The same of a race that goes by what it expects of programs, too.

    So it chooses better than the choice that is made again by scores alone, which tells of too much luck. What the winner leads
    by less on the rows of the last round, after nearly all of the choice, is its luck, told by few rows. This is the mean of the
    two, and 0.0 or more.
    """
    again = luck_of_choice(before, after, rivals)
    race = _race(rivals, len(before))
    if len(race.rounds) < 2:
        return again
    leads = [now - then for then, now in zip(before, after, strict=True)]
    last = [leads[place] for place in race.rounds[-1]]
    less = math.fsum(leads) / len(leads) - math.fsum(last) / len(last)
    return max(0.0, (again + less) / 2)


def _race(rivals: Sequence[Seen], rows: int) -> _Race:
    """The rounds, by who saw which rows. Where these do not follow from each other, as in a race, only those that saw all rows
    were chosen from."""
    seen = {tuple(place for place, score in enumerate(one) if score is not None) for one in rivals}
    ends = sorted({*seen, tuple(range(rows))}, key=len)
    if any(not set(one) < set(other) for one, other in pairwise(ends)):
        ends = [tuple(range(rows))]
    rounds = [tuple(sorted({*now}.difference(then))) for then, now in pairwise([(), *ends])]
    late = _late(rivals, ends)
    raced = [one for arm, one in enumerate(rivals) if arm not in late]
    quotas = [sum(rows_seen(one) >= len(end) for one in raced) for end in ends]
    return _Race(tuple(rounds), tuple(quotas), late)


def _late(rivals: Sequence[Seen], ends: Sequence[tuple[int, ...]]) -> frozenset[int]:
    """Of the last programs those that saw all rows, though a round dropped one that was better there."""
    last = len(rivals)
    while last and None not in rivals[last - 1]:
        last -= 1
    found: set[int] = set()
    for end in ends[:-1]:
        sums = [math.fsum(one[place] or 0.0 for place in end) for one in rivals]
        dropped = [sums[arm] for arm, one in enumerate(rivals) if rows_seen(one) == len(end)]
        found |= {arm for arm in range(last, len(rivals)) if dropped and sums[arm] < max(dropped)}
    return frozenset(found)


def _winner(
    before: Sequence[float],
    arms: Sequence[list[float]],
    race: _Race,
    drawn: Sequence[int],
    least: float,
) -> Sequence[float]:
    """The scores of the program that wins on the rows drawn; of equals the first, and the start before all that are not better by
    more than `least`, over all rows."""
    sums = [0.0] * len(arms)
    alive = [arm for arm in range(len(arms)) if arm not in race.late]
    for places, quota in zip(race.rounds, race.quotas, strict=True):
        alive = sorted(alive, key=lambda arm: -sums[arm])[:quota]
        counts = [drawn[place] for place in places]
        for arm in (*alive, *race.late):
            scores = arms[arm]
            sums[arm] += sum(map(mul, counts, [scores[place] for place in places]))
    best = max(sorted((*alive, *race.late)), key=lambda arm: sums[arm], default=None)
    if best is None or sums[best] - sum(map(mul, drawn, before)) <= least:
        return before
    return arms[best]


def _completed(before: Sequence[float], rivals: Sequence[Seen], draws: random.Random) -> list[list[float]]:
    """Each program's scores of all rows, with those made up that nobody saw."""
    whole = [before, *(one for one in rivals if None not in one)]
    mean = [
        math.fsum(score for one in whole if (score := one[place]) is not None) / len(whole)
        for place in range(len(before))
    ]
    found: list[list[float]] = []
    for one in rivals:
        known = [(score, mean[place]) for place, score in enumerate(one) if score is not None]
        lead = math.fsum(score - other for score, other in known) / (len(known) + HALFWAY)
        scores: list[float] = []
        for place, score in enumerate(one):
            if score is None:
                score = draws.choice(whole)[place]
                assert score is not None
                score += lead
            scores.append(score)
        found.append(scores)
    return found
