"""How sure the number of a metric with aggregates is: there is no formula for it, so its rows are drawn again.

Two draws, each from a stream of its own that is seeded by the number of rows. *Drawn again*, with repeats (the bootstrap, Efron,
1979), rows show how far the number may be from that of all rows there could be. *Swapped* between two programs, each by the
toss of a coin (Fisher's randomization test), they show how far apart two programs come by chance that are equally good.

What was read alike counts as one, so that a draw costs as much as there are different rows. Only the standard library draws: the
same intervals on every machine, and nothing to import.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from .shares import Reads, Share, at_worst, number, overall
from .streams import stream

Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""
DRAWS = 2000
FEWEST = 200
"""Draws that tell a spread, where rows are many."""
MOST_ROWS = 2_000_000
"""Rows drawn over all draws, as long as there are `FEWEST`."""
MOST_AT_ONCE = 10_000
"""Rows of one draw. Of more rows a part is drawn, whose spread tells that of all."""
MOST_SWAPS = 20_000

Kind = TypeVar("Kind", bound=Hashable)

Cell = tuple[Reads, ...]
"""What was read of a row: once, or of each of two programs."""


def distance(*columns: Sequence[Share]) -> float:
    """How far the number of these rows is from that of all rows there could be, in 95 of 100 draws: of one program's
    scores, or of the second's less the first's.

    The larger distance of the two sides holds on both: an aggregate of few rows lies mostly on one side of that of many, and
    which side that is depends on labels that few rows have.
    """
    rows = len(columns[0])
    cells = _counted(zip(*([score.reads for score in column] for column in columns), strict=True))
    kinds = list(cells)
    places = [place for place, count in enumerate(cells.values()) for _ in range(count)]
    once = min(rows, MOST_AT_ONCE)
    times = max(FEWEST, min(DRAWS, MOST_ROWS // once))
    draws = stream(rows, "bootstrap of aggregates")
    found = sorted(_number(columns, kinds, Counter(draws.choices(places, k=once))) for _ in range(times))
    seen = _number(columns, kinds, dict(enumerate(cells.values())))
    if times < DRAWS:
        # Too few for quantiles; rows are many, and their spread is a normal one.
        return Z * math.sqrt(math.fsum((one - seen) ** 2 for one in found) / times * once / rows)
    cut = round(0.025 * times)
    return max(seen - found[cut], found[times - 1 - cut] - seen, 0.0)


def _counted(cells: Iterable[Kind]) -> dict[Kind, int]:
    """How many rows there are of each kind, in an order that is not the rows'."""
    counts = Counter(cells)
    return {cell: counts[cell] for cell in sorted(counts, key=repr)}


def _number(columns: Sequence[Sequence[Share]], kinds: Sequence[Cell], counts: dict[int, int]) -> float:
    metric = columns[0][0].metric
    weights = list(counts.values())
    found = [
        number(metric, [kinds[place][column] for place in counts], weights) for column in range(len(columns))
    ]
    return found[-1] - found[0] if len(found) > 1 else found[0]


def worth(scores: Sequence[Share]) -> float:
    """Of how many equal rows a mean is about as sure as the number of these rows.

    From what one row costs that fails: rows of a label that has few cost more. It is between 1 and the number of rows.
    """
    seen, rows = overall(scores), len(scores)
    kinds: dict[Reads, list[int]] = {}
    for place, score in enumerate(scores):
        kinds.setdefault(score.reads, []).append(place)
    squares: list[float] = []
    for places in kinds.values():
        failed = [*scores]
        failed[places[0]] = _failed(scores[places[0]])
        squares.append(len(places) * (seen - overall(failed)) ** 2)
    total = math.fsum(squares)
    return min(float(rows), max(1.0, 1 / total)) if total else float(rows)


def _failed(score: Share) -> Share:
    worst = at_worst(score)
    assert isinstance(worst, Share)
    return worst


class Swaps:
    """The differences of two programs' numbers on the same rows, with each row swapped between them by the toss of a coin."""

    def __init__(
        self, before: Sequence[Share], after: Sequence[Share], weights: Sequence[float] | None = None
    ) -> None:
        self._metric = before[0].metric
        self._rows = len(before)
        each = weights or [1.0] * self._rows
        cells = _counted(zip((one.reads for one in before), (one.reads for one in after), each, strict=True))
        alike = {cell: count for cell, count in cells.items() if cell[0] == cell[1]}
        self._unlike = {cell: count for cell, count in cells.items() if cell[0] != cell[1]}
        self._alike = [(cell[0], cell[2] * count) for cell, count in alike.items()]
        self.seen = self._difference(dict.fromkeys(self._unlike, 0))

    @property
    def different(self) -> int:
        """How many kinds of rows differ between the two."""
        return len(self._unlike)

    def _difference(self, swapped: dict[tuple[Reads, Reads, float], int]) -> float:
        before, after = [*self._alike], [*self._alike]
        for cell, turned in swapped.items():
            (one, other, weight), count = cell, self._unlike[cell]
            for reads, side, rows in (
                (one, before, count - turned),
                (other, before, turned),
                (other, after, count - turned),
                (one, after, turned),
            ):
                if rows:
                    side.append((reads, weight * rows))
        first, second = (
            number(self._metric, [reads for reads, _ in side], [weight for _, weight in side])
            for side in (before, after)
        )
        return second - first

    def drawn(self) -> Iterator[float]:
        """Differences of draws, without end."""
        draws = stream(self._rows, "swaps")
        while True:
            yield self._difference(
                {cell: draws.getrandbits(count).bit_count() for cell, count in self._unlike.items()}
            )

    def spread(self) -> float:
        """Root of the mean square of the differences: 0.0 where no row differs."""
        if not self._unlike:
            return 0.0
        drawn = self.drawn()
        return math.sqrt(math.fsum(next(drawn) ** 2 for _ in range(FEWEST)) / FEWEST)

    def chance(self, *, sides: int, level: float = 0.0) -> float:
        """The chance that two equally good programs come as far apart as these: with one side, that the second leads by as much.

        It is never 0: the rows as they came are one of the draws. With a `level` the draws end as soon as the chance is
        sure not to be below it.
        """
        times = DRAWS if level <= 0 else min(MOST_SWAPS, max(DRAWS, math.ceil(4 / level)))
        times = max(FEWEST, min(times, MOST_ROWS // max(1, self.different)))
        if not self._unlike:
            return 1.0
        allowed = math.ceil(level * (times + 1)) if level > 0 else times + 1
        reached, hair = 1, 1e-12
        for _, found in zip(range(times), self.drawn(), strict=False):
            reached += (abs(found) if sides == 2 else found) >= (
                abs(self.seen) if sides == 2 else self.seen
            ) - hair
            if reached >= allowed:
                return 1.0 if level > 0 else reached / (times + 1)
        return reached / (times + 1)
