"""The best of many scores, the same ones on every machine.

The last bits of a logarithm or of a sum differ by machine, so scores are compared to nine decimals, and
earlier rows win ties.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .limits import DIGITS

_MARGIN = 2 * 10.0**-DIGITS
"""Two scores that are further apart than this never round to the same number."""


def best(
    scores: NDArray[np.float64], k: int, hidden: Sequence[int] | NDArray[np.intp] = ()
) -> list[tuple[int, float]]:
    """The places of the `k` best scores with those, rounded, the best first; `hidden` places are left out."""
    if len(hidden):
        scores = scores.copy()
        scores[hidden] = -np.inf
    shown = len(scores) - len(hidden)
    if min(k, shown) < 1:
        return []
    floor = -np.inf
    if k < shown:
        floor = float(np.partition(scores, len(scores) - k)[len(scores) - k]) - _MARGIN
    places = np.flatnonzero((scores >= floor) & (scores > -np.inf))
    # Python rounds by the decimal digits; numpy multiplies and divides, which is not the same in the last place.
    values, which = np.unique(scores[places], return_inverse=True)
    rounded = np.array([round(value, DIGITS) for value in values.tolist()])[which]
    order = np.lexsort((places, -rounded))[:k]
    return list(zip(places[order].tolist(), rounded[order].tolist(), strict=True))
