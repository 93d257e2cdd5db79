"""GEPA's minibatches: every pass over the rows in a new order, no row twice in one batch. Arithmetic only."""

from __future__ import annotations

import random
from collections.abc import Callable


class Batches:
    """Batches of min(`size`, `rows`) different rows. A pass that does not come out even is filled up with
    the rows that were used least so far."""

    def __init__(self, rows: int, size: int, rng: Callable[[str], random.Random]) -> None:
        self.size = min(size, rows)
        self.per_pass = -(-rows // self.size)
        self._rows = rows
        self._rng = rng
        self._uses = [0] * rows
        self._passes = 0
        self._waiting: list[list[int]] = []

    def next(self) -> list[int]:
        """Places of the next batch's rows."""
        if not self._waiting:
            self._waiting = self._shuffled()
        return self._waiting.pop(0)

    def _shuffled(self) -> list[list[int]]:
        order = list(range(self._rows))
        self._rng(f"pass {self._passes}").shuffle(order)
        self._passes += 1
        batches = [order[start : start + self.size] for start in range(0, self._rows, self.size)]
        for row in order:
            self._uses[row] += 1
        last = batches[-1]
        others = sorted((row for row in order if row not in last), key=self._uses.__getitem__)
        for row in others[: self.size - len(last)]:
            self._uses[row] += 1
            last.append(row)
        return batches
