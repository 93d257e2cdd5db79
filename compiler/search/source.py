"""Where a search's arms come from: a list, or combinations that a sampler picks one by one, out of a space that may
grow as the search learns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from .additive import Additive, Result, fit
from .board import Arm
from .samplers import Bandit, Sampler
from .space import Choice, Space

PRIOR_ROWS = 15
"""Rows that an option must have been seen on before its effect is believed by half."""


class ArmSource(Protocol):
    """Life cycle: `ask` and `tell` in turns, until `ask` gives nothing more."""

    learns: ClassVar[bool]
    """Whether more is known of arms than their own scores; if not, `predict` gives None for all."""

    async def ask(self, n: int) -> Sequence[Arm]:
        """Up to `n` arms, none of which it gave before; none when there are no more. Raises halts where making
        them takes model calls."""
        ...

    def tell(self, arm: Arm, score: float, rows: int) -> None:
        """How an arm of this source did on `rows` rows, so that the next ones may be better.

        May be told again of the same arm, with more rows.
        """
        ...

    def predict(self, arm: Arm) -> float | None:
        """What this arm scores by everything but its own scores; None where that says nothing."""
        ...


class Listed:
    """Arms that are known from the start and have nothing in common; scores change nothing."""

    learns: ClassVar[bool] = False

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = list(arms)

    async def ask(self, n: int) -> Sequence[Arm]:
        asked, self._arms = self._arms[:n], self._arms[n:]
        return asked

    def tell(self, arm: Arm, score: float, rows: int) -> None:
        """Nothing to learn: the list is fixed."""

    def predict(self, arm: Arm) -> float | None:
        return None


class Foreseen(Listed):
    """Arms that are known from the start, each with what it is expected to score on all rows, by what was seen elsewhere."""

    learns: ClassVar[bool] = True

    def __init__(self, arms: Sequence[Arm], expected: Sequence[float]) -> None:
        super().__init__(arms)
        self._expected = {arm.label: score for arm, score in zip(arms, expected, strict=True)}

    def predict(self, arm: Arm) -> float | None:
        return self._expected[arm.label]


class Combinations:
    """The arms of a sampler's choices; `build` makes a choice's arm, under a label of its own."""

    learns: ClassVar[bool] = True

    def __init__(self, space: Space, sampler: Sampler, build: Callable[[Choice], Arm]) -> None:
        self._space = space
        self._sampler = sampler
        self._build = build
        self._choices: dict[str, Choice] = {}
        self._results: dict[Choice, Result] = {}
        self._model: Additive | None = None

    def start(self, score: float, rows: int) -> None:
        """The score of the space's origin, which is never asked for."""
        self._take(self._space.origin, score, rows)

    async def ask(self, n: int) -> Sequence[Arm]:
        choices = self._sampler.ask(n)
        arms = [self._build(choice) for choice in choices]
        self._choices.update(zip((arm.label for arm in arms), choices, strict=True))
        return arms

    def tell(self, arm: Arm, score: float, rows: int) -> None:
        self._take(self._choices[arm.label], score, rows)

    def predict(self, arm: Arm) -> float | None:
        return self._fitted().predict(self._choices[arm.label])

    def _fitted(self) -> Additive:
        if self._model is None:
            self._model = fit(self._space.sizes, list(self._results.values()), PRIOR_ROWS)
        return self._model

    def _take(self, choice: Choice, score: float, rows: int) -> None:
        if choice not in self._results:
            self._sampler.tell(choice, score)
        self._results[choice] = Result(choice, score, rows)
        self._model = None


class Growing(Combinations):
    """Combinations of a space that gets more options each time it is asked again.

    `more` is told what the scores so far say of every option, and gives the space with further ones at the end
    of its dimensions. Raises halts that `more` raises.
    """

    def __init__(
        self,
        space: Space,
        bandit: Bandit,
        build: Callable[[Choice], Arm],
        more: Callable[[Additive], Awaitable[Space]],
    ) -> None:
        super().__init__(space, bandit, build)
        self._bandit = bandit
        self._more = more

    async def ask(self, n: int) -> Sequence[Arm]:
        if self._choices:
            self._space = await self._more(self._fitted())
            self._bandit.grow(self._space)
            self._model = None
        return await super().ask(n)
