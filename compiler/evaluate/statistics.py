"""How sure a score is: confidence intervals, and the paired comparison of two programs.

Everything is computed from the scores alone, with the standard library, and without random draws
that could differ between runs: the bootstrap's resamples come from a stream seeded by the number of
rows. All intervals are at 95 %. What is said of a mean holds for the number of a metric with aggregates, too; there rows are
drawn again, or swapped (`resampling`), instead of added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

from msgspec import Struct

from .resampling import Swaps, Z, distance, worth
from .shares import overall, shares_of
from .streams import stream

RESAMPLES = 2000
RACES = 1000
"""Races among equals that are run to learn how lucky their winner is."""
MAX_DRAWS = 2_000_000
"""Rows drawn over all resamples at most: above it the mean is normal enough to need no bootstrap."""


class Paired(Struct, frozen=True):
    """`after` against `before` on the same rows.

    `difference` is the mean of after − before, `low` and `high` its 95 % interval; the counts say on
    how many rows the score rose, fell or stayed. `p_value` is McNemar's exact test on those counts
    (a sign test where scores are graded). With aggregates `difference` is that of their numbers, and `p_value` the chance that
    swapping rows brings one as large.
    """

    difference: float
    low: float
    high: float
    better: int
    worse: int
    same: int
    p_value: float


def interval(scores: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of scores in 0..1; (0.0, 1.0) when there are none.

    Scores that are all 0 or 1 get Wilson's interval (1927), graded ones a bootstrap of the mean
    (Efron, 1979).
    """
    if not scores:
        return (0.0, 1.0)
    if shares := shares_of(scores):
        number, half = overall(shares), distance(shares)
        rows = worth(shares)
        low, high = (number - half, number + half) if half else wilson(number * rows, rows)
        return (max(0.0, low), min(1.0, high))
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(sum(score == 1.0 for score in scores), len(scores))
    low, high = _mean_interval(scores, low=0.0)
    return (max(0.0, low), min(1.0, high))


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for a share of successes; `n` is at least 1.

    `successes` may be a sum of graded scores: their variance is never above that of a bool, so the
    interval is then too wide rather than too narrow.
    """
    share = successes / n
    spread = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / spread
    half = Z / spread * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At the ends rounding could leave 0.9999…: the interval reaches the observed share exactly.
    low = 0.0 if share == 0 else centre - half
    high = 1.0 if share == 1 else centre + half
    return (max(0.0, low), min(1.0, high))


def paired(before: Sequence[float], after: Sequence[float]) -> Paired:
    """Compare two programs' scores on the same rows in the same order.

    Raises ValueError when the numbers of rows differ or there are none.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"paired scores need the same rows: {len(before)} and {len(after)}")
    differences = [b - a for a, b in zip(before, after, strict=True)]
    better = sum(difference > 0 for difference in differences)
    worse = sum(difference < 0 for difference in differences)
    if (old := shares_of(before)) and (new := shares_of(after)):
        difference, half = overall(new) - overall(old), distance(old, new)
        low, high = difference - half, difference + half
        if not half:
            low, high = _matched(0, 0, min(worth(old), worth(new)))
        p_value = Swaps(old, new).chance(sides=2)
    else:
        low, high = _of_differences(differences, better, worse)
        difference = math.fsum(differences) / len(differences)
        p_value = _sign_test(better, worse)
    return Paired(
        difference=difference,
        low=max(-1.0, min(low, difference)),
        high=min(1.0, max(high, difference)),
        better=better,
        worse=worse,
        same=len(differences) - better - worse,
        p_value=p_value,
    )


def _of_differences(differences: Sequence[float], better: int, worse: int) -> tuple[float, float]:
    binary = all(difference in (-1.0, 0.0, 1.0) for difference in differences)
    return _matched(better, worse, len(differences)) if binary else _mean_interval(differences, low=-1.0)


def luck(before: Sequence[float], after: Sequence[float], looks: Sequence[int]) -> float:
    """The gain that the winner of a search shows on these rows when all that it was chosen from are as good as
    `before`.

    `looks` says of each of those on how many rows it was scored: a choice that was made on few rows is lucky on
    those few, and the others tell the truth. In the end the choice is between their winner and `before`, so a gain that is seen
    is one where `before` lost. Half of the rows' differences is a program's own luck. It is 0.0 for one program, which
    nobody chose. Programs that have much in common, or that differ in how good they are, are less lucky, so it is on the
    safe side.
    """
    if len(looks) < 2:
        return 0.0
    rows = len(before)
    if (old := shares_of(before)) and (new := shares_of(after)):
        # Of means, this is the sum below.
        squares = (rows * Swaps(old, new).spread()) ** 2
    else:
        squares = math.fsum((b - a) ** 2 for a, b in zip(before, after, strict=True))
    seen = sorted((min(look, rows) for look in looks), reverse=True)
    return _lead(tuple(seen), rows) * math.sqrt(squares / 2 / rows) / rows


@lru_cache(maxsize=32)
def _lead(looks: tuple[int, ...], rows: int) -> float:
    """By how much the winner of a race among equals beats one more that is compared with it on all `rows` in the end, where it
    does. Rows are normal amounts of variance 1, and so are those of that one.

    Where all see all rows, from the mean of the largest of so many normal amounts (Blom, 1958); else the mean over races that
    are run. `looks` falls.
    """
    if looks[-1] == rows:
        arms = len(looks) + 1
        quantile = NormalDist().inv_cdf((arms - 0.375) / (arms + 0.25))
        return quantile * math.sqrt(rows) * arms / len(looks)
    ends = sorted({*looks, rows})
    # The winner is seen on all rows in any case.
    rounds = [
        (end - start, max(1, sum(look >= end for look in looks))) for start, end in pairwise((0, *ends))
    ]
    draws = stream(rows, "races")
    gained, wins = 0.0, 0
    for _ in range(RACES):
        sums = [0.0] * len(looks)
        for step, arms in rounds:
            spread = math.sqrt(step)
            sums = [one + draws.gauss(0.0, spread) for one in sorted(sums, reverse=True)[:arms]]
        gain = max(sums) - draws.gauss(0.0, math.sqrt(rows))
        gained += max(0.0, gain)
        wins += gain > 0.0
    return gained / max(1, wins)


def _mean_interval(values: Sequence[float], *, low: float) -> tuple[float, float]:
    """95 % interval of the mean of values in `low`..1: a percentile bootstrap.

    Equal values, whose bootstrap would claim to be certain: so many in a row leave room for a share of others, which may lie
    at either end of the range (Clopper and Pearson, 1934). Very many values get the normal one, which they have earned.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if min(values) == max(values):
        others = 1.0 - 0.025 ** (1 / n)
        return (mean - others * (mean - low), mean + others * (1.0 - mean))
    if n * RESAMPLES > MAX_DRAWS:
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
        half = Z * deviation / math.sqrt(n)
        return (mean - half, mean + half)
    draws = stream(n, "bootstrap")
    means = sorted(math.fsum(draws.choices(values, k=n)) / n for _ in range(RESAMPLES))
    cut = round(0.025 * RESAMPLES)
    return (means[cut], means[RESAMPLES - 1 - cut])


def _matched(better: int, worse: int, n: float) -> tuple[float, float]:
    """Interval for the difference of two matched shares (Agresti and Min, 2005)."""
    padded = n + 2
    difference = (better - worse) / padded
    variance = (better + worse + 1) / padded - difference**2
    half = Z * math.sqrt(max(0.0, variance) / padded)
    return (difference - half, difference + half)


def _sign_test(better: int, worse: int) -> float:
    """Two-sided exact binomial probability of a split at least this uneven."""
    flips = better + worse
    if flips == 0:
        return 1.0
    fewer = min(better, worse)
    if flips > 1000:
        # The normal approximation with continuity correction: the exact sum would be slow.
        z = max(0.0, abs(better - worse) - 1) / math.sqrt(flips)
        return math.erfc(z / math.sqrt(2))
    tail = sum(math.comb(flips, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**flips)
