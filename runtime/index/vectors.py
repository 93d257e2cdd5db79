"""Vectors compared by their cosine, exactly: one signed byte a number, searched by numpy.

Rows are kept as `running/vectors` packs them: each scaled to its own largest number, a quarter of single
precision for an error of the cosine below a hundredth. Among those rows the search is exact: single precision finds
the few that may be among the best, with a margin for its largest error, and double precision decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .keeping import Arrays, kept, key_of, opened
from .limits import MAX_ROWS
from .ranking import best

_KIND = "vectors 1"
_BLOCK = 200_000
"""Numbers that are widened at a time: as many as stay in the processor's cache."""


class VectorIndex:
    """Rows by their vectors; `search` gives the nearest."""

    def __init__(self, arrays: Arrays) -> None:
        self._numbers = cast("NDArray[np.int8]", arrays["numbers"])
        self._lengths = cast("NDArray[np.float64]", arrays["lengths"])

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return self._numbers.shape[1]

    @classmethod
    def build(cls, vectors: Iterable[Sequence[float]]) -> VectorIndex:
        """The index of vectors of finite numbers. Raises ValueError for vectors of different lengths."""
        return cls(_packed(vectors))

    @classmethod
    def of_packed(cls, rows: Sequence[bytes]) -> VectorIndex:
        """The index of rows that are packed already, one signed byte a number."""
        if len({len(row) for row in rows}) > 1:
            raise ValueError("vectors of different lengths")
        numbers = np.frombuffer(b"".join(rows), np.int8)
        return cls(_with_lengths(numbers.reshape(len(rows), len(rows[0]) if rows else 0)))

    @classmethod
    def kept(cls, key: str, make: Callable[[], Iterable[Sequence[float]]]) -> VectorIndex:
        """The index that is kept for the key; made of `make`'s vectors and kept where there is none."""
        return cls(kept(key_of(_KIND, key), lambda: _packed(make())))

    @classmethod
    def opened(cls, key: str) -> VectorIndex | None:
        """The index that is kept for the key, or None."""
        found = opened(key_of(_KIND, key))
        return None if found is None else cls(found)

    def search(self, vector: Sequence[float], k: int, hidden: Sequence[int] = ()) -> list[tuple[int, float]]:
        """The `k` nearest rows with their cosines, the nearest first; earlier rows win ties.

        The cosine of a vector without a direction is 0 with every row. Raises ValueError for a vector of another size.
        """
        if not len(self):
            return []
        if len(vector) != self.size:
            raise ValueError(f"the index has vectors of {self.size} numbers, and this one has {len(vector)}")
        asked = np.array(vector, np.float64)
        largest = float(np.abs(asked).max())
        if not largest:
            return best(np.zeros(len(self)), k, hidden)
        asked /= largest  # the squares of very large numbers would be infinite
        asked /= np.sqrt(asked @ asked)
        rough = self._rough(asked.astype(np.float32))
        rough[self._lengths == 0] = 0.0
        if len(hidden):
            rough[hidden] = -np.inf
        shown = len(self) - len(hidden)
        near = np.flatnonzero(rough > -np.inf)
        if k < shown:
            margin = 2 * (self.size + 8) * float(np.finfo(np.float32).eps)
            floor = np.partition(rough, len(rough) - k)[len(rough) - k] - margin
            near = np.flatnonzero(rough >= floor)
        return [(int(near[place]), score) for place, score in best(self._exact(near, asked), k)]

    def _rough(self, asked: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines in single precision."""
        found = np.empty(len(self), np.float32)
        step = max(1, _BLOCK // self.size)
        widened = np.empty((step, self.size), np.float32)
        for start in range(0, len(self), step):
            rows = self._numbers[start : start + step]
            block = widened[: len(rows)]
            np.copyto(block, rows)
            np.dot(block, asked, out=found[start : start + step])
        return np.divide(found, self._lengths, out=found, where=self._lengths > 0, casting="same_kind")

    def _exact(self, places: NDArray[np.intp], asked: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros(len(places))
        step = max(1, _BLOCK // self.size)
        for start in range(0, len(places), step):
            some = places[start : start + step]
            lengths = self._lengths[some]
            products = self._numbers[some].astype(np.float64) @ asked
            np.divide(products, lengths, out=found[start : start + step], where=lengths > 0)
        return found


def _packed(vectors: Iterable[Sequence[float]]) -> Arrays:
    rows: list[NDArray[np.int8]] = []
    for vector in vectors:
        numbers = np.array(vector, np.float64)
        largest = float(np.abs(numbers).max(initial=0.0))
        scaled = np.rint(127 * (numbers / largest)) if largest else numbers
        rows.append(scaled.astype(np.int8))
        if len(rows) > MAX_ROWS:
            raise ValueError(f"an index has at most {MAX_ROWS:,} rows")
        if len(rows[0]) != len(rows[-1]):
            raise ValueError("vectors of different lengths")
    return _with_lengths(np.stack(rows) if rows else np.zeros((0, 0), np.int8))


def _with_lengths(numbers: NDArray[np.int8]) -> Arrays:
    lengths = np.empty(len(numbers))
    step = max(1, _BLOCK // max(1, numbers.shape[1]))
    for start in range(0, len(numbers), step):
        block = numbers[start : start + step].astype(np.float64)
        lengths[start : start + step] = np.sqrt(np.einsum("ij,ij->i", block, block))
    return {"numbers": numbers, "lengths": lengths}
