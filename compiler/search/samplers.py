"""Samplers: which combination to try next.

None gives a combination twice, and none fails when there are no more: it then gives fewer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from .space import Choice, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

DRAWS = 32
"""Draws that may come out as one that was tried before the next free combination is taken."""


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
    show every option of every dimension about equally often.
    """

    def __init__(self, space: Space, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        self._taken: set[Choice] = set()
        self._told: list[tuple[Choice, float]] = []
        self._balanced = max(space.sizes, default=0)
        self._decks: list[list[int]] = [[] for _ in space.sizes]

    def ask(self, n: int) -> list[Choice]:
        found: list[Choice] = []
        effects = self._effects()
        while len(found) < n and (choice := self._next(effects)) is not None:
            self._taken.add(choice)
            found.append(choice)
        return found

    def tell(self, choice: Choice, score: float) -> None:
        self._taken.add(choice)
        self._told.append((choice, score))

    def _next(self, effects: list[list[tuple[float, float]]]) -> Choice | None:
        for _ in range(DRAWS):
            if len(self._taken) <= self._balanced:
                choice = tuple(self._dealt(dimension) for dimension in range(len(self._space.sizes)))
            else:
                # The model is a sum, so the best combination is the best option of each dimension.
                choice = tuple(
                    max(range(len(options)), key=[self._rng.gauss(*option) for option in options].__getitem__)
                    for options in effects
                )
            if choice not in self._taken:
                return choice
        return self._space.first_outside(self._taken)

    def _dealt(self, dimension: int) -> int:
        deck = self._decks[dimension]
        if not deck:
            deck += range(self._space.sizes[dimension])
            self._rng.shuffle(deck)
        return deck.pop()

    def _effects(self) -> list[list[tuple[float, float]]]:
        """Of every option: its effect on the score, and how unsure that is.

        One effect at a time, the others held (backfitting), with a prior as strong as one result.
        """
        scores = [score for _, score in self._told]
        mean = math.fsum(scores) / len(scores) if scores else 0.0
        effects = [[0.0] * size for size in self._space.sizes]
        seen = [[0] * size for size in self._space.sizes]
        for choice, _ in self._told:
            for dimension, option in enumerate(choice):
                seen[dimension][option] += 1
        for _ in range(8):
            for dimension, size in enumerate(self._space.sizes):
                sums: list[list[float]] = [[] for _ in range(size)]
                for choice, score in self._told:
                    others = math.fsum(
                        effects[other][option] for other, option in enumerate(choice) if other != dimension
                    )
                    sums[choice[dimension]].append(score - mean - others)
                effects[dimension] = [math.fsum(found) / (len(found) + 1) for found in sums]
        spread = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores)) if scores else 0
        return [
            [(effects[d][o], max(spread, 0.02) / math.sqrt(seen[d][o] + 1)) for o in range(size)]
            for d, size in enumerate(self._space.sizes)
        ]
