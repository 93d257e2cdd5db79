"""Where a search's arms come from: a list, or combinations that a sampler picks one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .board import Arm
from .samplers import Sampler
from .space import Choice


class Source(Protocol):
    """Life cycle: `ask` and `tell` in turns, until `ask` gives nothing more."""

    def ask(self, n: int) -> Sequence[Arm]:
        """Up to `n` arms, none of which it gave before; none when there are no more."""
        ...

    def tell(self, arm: Arm, score: float) -> None:
        """How an arm of this source did, so that the next ones may be better."""
        ...


class Listed:
    """Arms that are known from the start; scores change nothing."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = list(arms)

    def ask(self, n: int) -> Sequence[Arm]:
        asked, self._arms = self._arms[:n], self._arms[n:]
        return asked

    def tell(self, arm: Arm, score: float) -> None:
        """Nothing to learn: the list is fixed."""


class Combinations:
    """The arms of a sampler's choices; `build` makes a choice's arm."""

    def __init__(self, sampler: Sampler, build: Callable[[Choice], Arm]) -> None:
        self._sampler = sampler
        self._build = build
        self._choices: dict[str, Choice] = {}

    def ask(self, n: int) -> Sequence[Arm]:
        choices = self._sampler.ask(n)
        arms = [self._build(choice) for choice in choices]
        self._choices.update(zip((arm.label for arm in arms), choices, strict=True))
        return arms

    def tell(self, arm: Arm, score: float) -> None:
        self._sampler.tell(self._choices[arm.label], score)
