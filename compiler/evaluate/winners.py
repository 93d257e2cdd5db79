"""What the winner of a choice is worth: its number, and its gain over the start, without the part that is luck.

The best of several looks better than it is by as much as their numbers differ by chance. Of a number that is a mean, the
choice is made again on rows drawn anew (`reselection`). What a winner took over from an earlier choice, it took over with its
luck: as much of that as the rows tell on which both do better or worse than the rest.

The number of a metric with aggregates is no mean of rows, and choosing again would cost a number for each program and draw.
There it is estimated from all that was scored how far programs differ in truth, and the winner's number is drawn towards
their mean by the share of the difference that is chance (empirical Bayes: Efron and Morris, 1973; the variance of truths by
moments: DerSimonian and Laird, 1986). That takes truths to be spread like a bell: where a few programs are far worse than the
rest, it tells of too little luck. Where the start stands among them it is drawn towards that mean with them; where all that was
made of it is better or worse, it is not. How much of either holds is weighed by how likely the start is among the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from .outcomes import Seen, rows_seen
from .resampling import Swaps
from .reselection import luck_of_choice
from .shares import overall, shares_of

LUCK_OFF = 1.5
"""How far luck may be from what is told of it, with 95 % certainty, as parts of that: over simulated choices whose truth is known
(`tests/compiler/test_simulated_truth.py`), intervals with it hold as much as they say."""
APART = 0.2
"""How far a start that is not one of the others lies from their mean, as a standard deviation of numbers in 0..1."""


class Worth(Struct, frozen=True):
    """Of a winner: `luck` is what its number shows too much, `gained` what is left of its gain over the start."""

    luck: float
    gained: float

    def without_luck(self, score: float, interval: tuple[float, float]) -> tuple[float, tuple[float, float]]:
        """A number with its 95 % interval, both without the luck, and the interval as wide as that is unsure."""
        left, off = score - self.luck, LUCK_OFF * self.luck
        low, high = math.hypot(score - interval[0], off), math.hypot(interval[1] - score, off)
        return left, (max(0.0, left - low), min(1.0, left + high))


def worth_of_winner(
    before: Sequence[float],
    after: Sequence[float],
    rivals: Sequence[Seen],
    earlier: Sequence[Sequence[Seen]] = (),
    least: float = 0.0,
    measured: float | None = None,
) -> Worth:
    """What the winner, which scored `after`, is worth. It was chosen from `rivals`, itself among them; all scored the rows of
    `before`, which are the start's, as far as they got. Of one program, which nobody chose, all is worth.

    `earlier` are what was chosen from before, on the same rows: what won there, the winner may have come of. Had it not been
    better than the start by more than `least`, that would have been kept. `measured` is the luck of the choice from `rivals`
    where whoever chose knows it.
    """
    lead = overall(after) - overall(before)
    luck = measured
    if luck is None and shares_of(before):
        return _among_others(before, after, rivals)
    if luck is None:
        luck = luck_of_choice(before, after, rivals, least) if len(rivals) > 1 else 0.0
    luck += sum(_taken_over(before, after, others) for others in earlier)
    return Worth(luck, lead - luck)


def _taken_over(before: Sequence[float], after: Sequence[float], rivals: Sequence[Seen]) -> float:
    """The luck of the winner of `rivals` that is still in `after`.

    Their share is the slope of one on the other, row by row, of what each scores more than the programs that were chosen from.
    """
    whole = [[score for score in one if score is not None] for one in rivals if None not in one]
    first = max(whole, key=math.fsum, default=None)
    if len(rivals) < 2 or first is None or math.fsum(first) <= math.fsum(before):
        return 0.0
    common = [math.fsum(scores) / (1 + len(whole)) for scores in zip(before, *whole, strict=True)]
    own, its = (
        _around([score - mean for score, mean in zip(scores, common, strict=True)])
        for scores in (first, after)
    )
    square = math.fsum(one * one for one in own)
    if not square:
        return 0.0
    slope = math.fsum(one * other for one, other in zip(own, its, strict=True)) / square
    return min(1.0, max(0.0, slope)) * luck_of_choice(before, first, rivals)


def _around(values: Sequence[float]) -> list[float]:
    """The values less their mean."""
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def _among_others(before: Sequence[float], after: Sequence[float], rivals: Sequence[Seen]) -> Worth:
    rows = len(before)
    lead = overall(after) - overall(before)
    noise = _noise(rivals)
    if not noise:
        return Worth(0.0, lead)
    leads = [_lead(before, scores) for scores in rivals]
    # The start's own noise is in every lead. It is the same where all rows were seen, and counts where fewer were.
    chance = [noise * (2 / rows_seen(scores) - 1 / rows) for scores in rivals]
    own = noise / rows
    among, apart = _Spread.of([0.0, *leads], [own, *chance]), _Spread.of(leads, chance)
    near = apart.truth + own + apart.error
    likely = _density(apart.mean, near)
    share = likely / (likely + _density(apart.mean, near + APART**2))
    shrunk, alone = among.shrunk(lead, own), apart.shrunk(lead, own)
    # Among the others the start is drawn to their mean, too, from its lead of 0.
    return Worth(
        luck=lead - share * shrunk - (1 - share) * alone,
        gained=share * (shrunk - among.shrunk(0.0, own)) + (1 - share) * alone,
    )


class _Spread(Struct, frozen=True):
    """How programs differ in truth: their `mean`, with its variance `error`, and the variance `truth` around it."""

    mean: float
    error: float
    truth: float

    @classmethod
    def of(cls, leads: Sequence[float], chance: Sequence[float]) -> _Spread:
        """By how the leads differ, and how much of that is chance: a variance for each."""
        weights = [1 / one for one in chance]
        total = math.fsum(weights)
        mean = _mean(leads, weights)
        seen = math.fsum(weight * (lead - mean) ** 2 for weight, lead in zip(weights, leads, strict=True))
        spare = total - math.fsum(weight**2 for weight in weights) / total
        truth = max(0.0, (seen - len(leads) + 1) / spare) if spare > 0 else 0.0
        weights = [1 / (one + truth) for one in chance]
        return cls(_mean(leads, weights), 1 / math.fsum(weights), truth)

    def shrunk(self, lead: float, chance: float) -> float:
        return self.mean + self.truth / (self.truth + chance) * (lead - self.mean)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(
        weights
    )


def _density(distance: float, variance: float) -> float:
    """Of a normal amount, but for a constant."""
    return math.exp(-(distance**2) / 2 / variance) / math.sqrt(variance)


def _lead(before: Sequence[float], scores: Seen) -> float:
    """By how much a program's number exceeds the start's, on the rows that it saw."""
    pairs = [(one, other) for one, other in zip(before, scores, strict=True) if other is not None]
    return overall([score for _, score in pairs]) - overall([score for score, _ in pairs])


def _noise(rivals: Sequence[Seen]) -> float:
    """The variance by chance of one row of a program, from how the rows of two differ; 0.0 where nobody can tell.

    Two after the other are compared, in the order of how many rows they saw.
    """
    known = sorted(rivals, key=rows_seen, reverse=True)
    squares = [_of_two(one, other) for one, other in pairwise(known)]
    freedom = sum(count - 1 for count, _ in squares)
    return math.fsum((count - 1) * variance for count, variance in squares) / freedom if freedom > 0 else 0.0


def _of_two(one: Seen, other: Seen) -> tuple[int, float]:
    """On how many rows both are known, and the variance by chance of a row of one of them."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    if len(pairs) < 2:
        return 1, 0.0
    if (old := shares_of(first)) and (new := shares_of(second)):
        return len(pairs), len(pairs) * Swaps(old, new).spread() ** 2 / 2
    differences = [b - a for a, b in pairs]
    mean = math.fsum(differences) / len(differences)
    return len(pairs), math.fsum((one - mean) ** 2 for one in differences) / (len(differences) - 1) / 2
