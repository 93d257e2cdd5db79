"""A space of combinations: one option out of each dimension."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterator

from msgspec import Struct

Choice = tuple[int, ...]
"""Index of the option taken in each dimension."""


class Space(Struct, frozen=True):
    """`sizes` holds the number of options of each dimension, each at least 1."""

    sizes: tuple[int, ...]

    @property
    def combinations(self) -> int:
        return math.prod(self.sizes)

    @property
    def origin(self) -> Choice:
        """The first option everywhere: where a search starts from."""
        return (0,) * len(self.sizes)

    def all(self) -> Iterator[Choice]:
        return itertools.product(*(range(size) for size in self.sizes))

    def first_outside(self, taken: Container[Choice]) -> Choice | None:
        """The first combination that is not taken. It looks at one combination more than are taken, at most."""
        return next((choice for choice in self.all() if choice not in taken), None)
