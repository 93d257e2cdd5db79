"""Work in pieces: a generator that yields between them, so that an edit or somebody who cancels it is heard, and gives its
result at the end."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Generator[None, None, T]


def whole(work: Work[T]) -> T:
    """The result of work that is done at once."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def gathered(found: Iterable[T]) -> Work[list[T]]:
    """All that is found, one in each piece."""
    known: list[T] = []
    for one in found:
        known.append(one)
        yield
    return known
