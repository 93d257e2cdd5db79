"""Samplers: which combination to try next.

None gives a combination twice, and none fails when there are no more: it then gives fewer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from .additive import Additive, Result, fit
from .space import Choice, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

DRAWS = 32
"""Draws that may come out as one that was tried before the next free combination is taken."""


LEAST_SPREAD = 0.02
"""Spread of scores that the bandit reckons with even where they were all alike."""


class Sampler(Protocol):
    """Life cycle: `ask` and `tell` in turns. `tell` may name what was never asked for."""

    def ask(self, n: int) -> list[Choice]:
        """Up to `n` combinations that it has neither given nor been told of."""
        ...

    def tell(self, choice: Choice, score: float) -> None:
        """The score of a combination, in 0..1."""
        ...


class Exhaustive:
    """All combinations in order: where there are no more than trials, nothing can be smarter."""

    def __init__(self, space: Space) -> None:
        self._choices: Iterator[Choice] = space.all()
        self._taken: set[Choice] = set()

    def ask(self, n: int) -> list[Choice]:
        found: list[Choice] = []
        for choice in self._choices:
            if choice in self._taken:
                continue
            found.append(choice)
            if len(found) == n:
                break
        return found

    def tell(self, choice: Choice, score: float) -> None:
        self._taken.add(choice)


class TpeSampler:
    """Optuna's TPE over categorical dimensions (Bergstra et al., 2011), joint over all of them.

    Random for the first ten results, so it needs more trials than that to pay.
    """

    def __init__(self, space: Space, seed: int) -> None:
        # A second to import: only a search that uses it pays.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._taken: set[Choice] = set()
        self._names = [f"dimension {index}" for index in range(len(space.sizes))]
        self._distributions: dict[str, BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(list(range(size)))
            for name, size in zip(self._names, space.sizes, strict=True)
        }
        self._study: Study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True)
        )

    def ask(self, n: int) -> list[Choice]:
        found: list[Choice] = []
        while len(found) < n and (choice := self._next()) is not None:
            self._taken.add(choice)
            found.append(choice)
        return found

    def tell(self, choice: Choice, score: float) -> None:
        import optuna

        self._taken.add(choice)
        params = dict(zip(self._names, choice, strict=True))
        self._study.add_trial(
            optuna.trial.create_trial(value=score, params=params, distributions=self._distributions)
        )

    def _next(self) -> Choice | None:
        import optuna

        for _ in range(DRAWS):
            trial = self._study.ask(self._distributions)
            choice = tuple(int(trial.params[name]) for name in self._names)
            # Results are added as trials of their own, so that a wave may be told in any order.
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if choice not in self._taken:
                return choice
        return self._space.first_outside(self._taken)


class Bandit:
    """Thompson sampling with one effect per option, for budgets too small for TPE.

    The score of a combination is modelled as a sum over its options, each shrunk towards the mean by how
    seldom it was seen, so that a few trials tell something of every combination. The first trials
    show every option of every dimension about equally often; of `trials`, the last ones explore the less the
    fewer are left, since nothing comes of what they would find out. 0: it is not known how many there will be.

    The space may grow. An option that is new was made in the light of the scores, so it is tried before anything
    else, with what looks best of the other dimensions.
    """

    def __init__(self, space: Space, rng: random.Random, trials: int = 0) -> None:
        self._space = space
        self._rng = rng
        self._trials = trials
        self._taken: set[Choice] = set()
        self._told: list[Result] = []
        self._balanced = max(space.sizes, default=0)
        self._decks: list[list[int]] = [[] for _ in space.sizes]
        self._fresh: list[list[int]] = [[] for _ in space.sizes]
        """By dimension: options that the space got since, the first one last."""

    def ask(self, n: int) -> list[Choice]:
        found: list[Choice] = []
        model = fit(self._space.sizes, self._told, 1.0)
        scores = [result.score for result in self._told]
        spread = max(math.sqrt(_variance(scores)), LEAST_SPREAD)
        while len(found) < n and (choice := self._next(model, spread)) is not None:
            self._taken.add(choice)
            found.append(choice)
        return found

    def tell(self, choice: Choice, score: float) -> None:
        self._taken.add(choice)
        self._told.append(Result(choice, score))

    def grow(self, space: Space) -> None:
        """From now on, choose from `space`, which has all that there was and further options after those."""
        for fresh, before, now in zip(self._fresh, self._space.sizes, space.sizes, strict=True):
            fresh[:0] = reversed(range(before, now))
        self._space = space
        self._balanced = 0

    def _next(self, model: Additive, spread: float) -> Choice | None:
        fresh = [options.pop() if options else None for options in self._fresh]
        for _ in range(DRAWS):
            if len(self._taken) <= self._balanced:
                choice = tuple(self._dealt(dimension) for dimension in range(len(self._space.sizes)))
            else:
                # The model is a sum, so the best combination is the best option of each dimension.
                choice = tuple(
                    self._drawn(effects, weights, spread * self._curiosity())
                    for effects, weights in zip(model.effects, model.weights, strict=True)
                )
            choice = tuple(drawn if new is None else new for drawn, new in zip(choice, fresh, strict=True))
            if choice not in self._taken:
                return choice
        return self._space.first_outside(self._taken)

    def _curiosity(self) -> float:
        """1 at first, 0 at the end."""
        return math.sqrt(max(0.0, 1 - len(self._taken) / self._trials)) if self._trials else 1.0

    def _drawn(self, effects: Sequence[float], weights: Sequence[float], spread: float) -> int:
        """The option of one dimension that looks best, each being as uncertain as it is seldom seen."""
        looks = [
            self._rng.gauss(effect, spread / math.sqrt(weight + 1))
            for effect, weight in zip(effects, weights, strict=True)
        ]
        return max(range(len(looks)), key=looks.__getitem__)

    def _dealt(self, dimension: int) -> int:
        deck = self._decks[dimension]
        if not deck:
            deck += range(self._space.sizes[dimension])
            self._rng.shuffle(deck)
        return deck.pop()


def _variance(scores: Sequence[float]) -> float:
    if not scores:
        return 0.0
    mean = math.fsum(scores) / len(scores)
    return math.fsum((score - mean) ** 2 for score in scores) / len(scores)
