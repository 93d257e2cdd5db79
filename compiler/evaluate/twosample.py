"""Whether two samples come from the same: standard tests, each with how large the difference is and how sure.

Effects are in 0..1, so that one threshold fits all: the largest distance of two distributions, the share of rows that would have
to change their label, the difference of two shares or of two means of scores. Certainty is a p-value: how often samples of the
same differ as much. Of many tests some p-values are small by chance, so they are corrected together (`holm`).

All is computed from the values alone, with the standard library, and without draws.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from .resampling import Z
from .statistics import interval

_FEWEST = 5
"""Rows of a label that are expected at least (Cochran, 1954); rarer ones count as one."""
_EXACT = 20_000
"""Rows up to which a table of two times two is tested exactly."""


class Difference(Struct, frozen=True):
    """How far two samples are apart, 0 to 1, and the p-value of that."""

    effect: float
    p_value: float


def numbers_differ(before: Sequence[float], after: Sequence[float]) -> Difference:
    """The two-sample test of Kolmogorov and Smirnov (1939), its p-value by Stephens' approximation (1970). Equal values make it
    cautious. Neither may be empty."""
    first, second = sorted(before), sorted(after)
    distance = max(
        abs(bisect_right(first, at) / len(first) - bisect_right(second, at) / len(second))
        for at in {*first, *second}
    )
    root = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # where the series is slow, and one to six digits
        return Difference(distance, 1.0)
    terms = (2 * (-1) ** (j - 1) * math.exp(-2 * (j * scaled) ** 2) for j in range(1, 101))
    return Difference(distance, min(1.0, max(0.0, math.fsum(terms))))


def labels_differ(before: Mapping[str, int], after: Mapping[str, int]) -> Difference:
    """Pearson's chi-squared test (1900) of two counts by label; Fisher's exact one where two labels are left. Neither may be
    empty."""
    totals = (sum(before.values()), sum(after.values()))
    names = sorted({*before, *after})
    effect = sum(abs(before.get(one, 0) / totals[0] - after.get(one, 0) / totals[1]) for one in names) / 2
    columns: list[tuple[int, int]] = []
    rare = (0, 0)
    for name in names:
        column = (before.get(name, 0), after.get(name, 0))
        if sum(column) * min(totals) / sum(totals) >= _FEWEST:
            columns.append(column)
        else:
            rare = (rare[0] + column[0], rare[1] + column[1])
    if any(rare):
        columns.append(rare)
    if len(columns) < 2:
        return Difference(effect, 1.0)
    if len(columns) == 2:
        return Difference(effect, _two_by_two(columns[0][0], totals[0], columns[0][1], totals[1]))
    statistic = math.fsum(
        (seen - expected) ** 2 / expected
        for column in columns
        for seen, total in zip(column, totals, strict=True)
        for expected in (sum(column) * total / sum(totals),)
    )
    return Difference(effect, _chi_squared(statistic, len(columns) - 1))


def shares_differ(before: int, rows: int, after: int, others: int) -> Difference:
    """Fisher's exact test (1922) of two shares: `before` of `rows`, and `after` of `others`. Neither number of rows may be 0."""
    return Difference(abs(before / rows - after / others), _two_by_two(before, rows, after, others))


def means_differ(mean: float, low: float, high: float, scores: Sequence[float]) -> Difference:
    """The mean of scores against another one that is known with its 95 % interval: by the normal distribution, each as sure
    as its interval says. There have to be scores."""
    own = math.fsum(scores) / len(scores)
    least, most = interval(scores)
    spread = math.hypot((high - low) / 2 / Z, (most - least) / 2 / Z)
    gap = abs(own - mean)
    return Difference(gap, math.erfc(gap / spread / math.sqrt(2)) if spread else float(gap == 0))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected for how many there are (Holm, 1979): below a level by chance in none of them as rarely as the level
    says."""
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = worst
    return corrected


def counted(values: Sequence[str]) -> dict[str, int]:
    """How often there is each, the most frequent first; equally frequent ones by name."""
    return dict(sorted(Counter(values).items(), key=lambda one: (-one[1], one[0])))


def _two_by_two(a: int, rows: int, b: int, others: int) -> float:
    hits, total = a + b, rows + others
    if total > _EXACT:
        expected = rows * hits / total
        variance = rows * others * hits * (total - hits) / total**3
        if not variance:
            return 1.0
        # Yates' correction for continuity (1934)
        return math.erfc(max(0.0, abs(a - expected) - 0.5) / math.sqrt(2 * variance))

    def chance(one: int) -> float:
        return math.exp(_log_choose(rows, one) + _log_choose(others, hits - one) - _log_choose(total, hits))

    seen = chance(a) * (1 + 1e-7)
    least, most = max(0, hits - others), min(rows, hits)
    return min(1.0, math.fsum(p for p in map(chance, range(least, most + 1)) if p <= seen))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _chi_squared(statistic: float, degrees: int) -> float:
    """The upper tail of the chi-squared distribution, by its finite sums for whole degrees of freedom."""
    half = statistic / 2
    if half > 700:
        return 0.0
    if degrees % 2:
        tail, term, first = (
            math.erfc(math.sqrt(half)),
            math.exp(-half) * math.sqrt(half) / math.gamma(1.5),
            1.5,
        )
    else:
        tail, term, first = math.exp(-half), math.exp(-half) * half, 2.0
    for step in range((degrees - 1) // 2):
        tail += term
        term *= half / (first + step)
    return min(1.0, tail)
