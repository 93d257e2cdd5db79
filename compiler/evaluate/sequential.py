"""How far apart two programs are, looked at again after every few rows: intervals that hold however long one looks.

A usual interval holds once: who looks after every row and stops at the first that leaves out 0 is wrong far more often than it
says. Here a gambler bets against every value that the mean difference may have, and a value is left out once the bets against it
have made a fortune. That happens to the true one with the stated chance at most, at whatever time (Ville, 1939). The bets are
those of Waudby-Smith and Ramdas, 2023 (arXiv:2010.09686), several fixed ones at once, whose mean fortune counts; so nothing is
assumed but that differences lie in −1..1, and the order of the rows says nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

BETS = tuple(0.02 * 1.35**step for step in range(13))
"""What part of the most that may be lost is bet: small ones tell small differences, after many rows."""
STEPS = 30
"""Halvings of the interval's ends: further than any number is printed."""


def interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The mean difference, of values in −1..1, lies in this interval: at all looks together with the stated confidence.

    (−1.0, 1.0) where nothing is known.
    """
    counts = Counter(differences)
    doubt = math.log(2 / (1 - confidence))
    # From above: bets that the mean is larger than a value; from below: that the mirrored one is.
    low = _end(counts, doubt)
    high = -_end({-value: count for value, count in counts.items()}, doubt)
    return low, high


def _end(counts: Mapping[float, int], doubt: float) -> float:
    """The largest value that is left out because the mean is larger."""
    low, high = -1.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _fortune(counts, middle) >= doubt:
            low = middle
        else:
            high = middle
    return low


def _fortune(counts: Mapping[float, int], value: float) -> float:
    """Log of what the bets that the mean is larger than `value` have made of 1, on average. It falls with the value."""
    most = 1 + value  # what a row may lose
    if most <= 0:
        return math.inf if any(difference > value for difference in counts) else 0.0
    made = [
        sum(count * math.log1p(bet * (difference - value) / most) for difference, count in counts.items())
        for bet in BETS
    ]
    top = max(made)
    return top + math.log(sum(math.exp(one - top) for one in made) / len(made))
