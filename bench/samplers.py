"""What picks MIPROv2's trials: the bandit, or Optuna's TPE in its place. Test score and model calls of the same tasks.

    python bench/samplers.py [--seeds 2] [--auto light|medium] [--kinds tuned|held-out] [--jobs 1]

Everything else stays as it is: the race's rounds and rows, the instructions that are proposed on the way, and that these are
tried at once. TPE's study is made anew with all results whenever instructions are added, since a study's space cannot grow.
The tasks are those of `optimizers.py`, the model is simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

from optimizers import HELD_OUT, TUNED, Outcome, Pairs, compiled

from dspec.compiler.optimizers import mipro
from dspec.compiler.search.samplers import DRAWS, TpeSampler
from dspec.compiler.search.space import Choice, Space


class GrowingTpe:
    """TPE over a space that grows, with `Bandit`'s life cycle."""

    def __init__(self, space: Space, rng: random.Random, trials: int = 0) -> None:
        self._space = space
        self._rng = rng
        self._told: list[tuple[Choice, float]] = []
        self._taken: set[Choice] = set()
        self._fresh: list[list[int]] = [[] for _ in space.sizes]
        self._study = self._made()

    def ask(self, n: int) -> list[Choice]:
        found: list[Choice] = []
        while len(found) < n and (choice := self._next()) is not None:
            self._taken.add(choice)
            found.append(choice)
        return found

    def tell(self, choice: Choice, score: float) -> None:
        self._taken.add(choice)
        self._told.append((choice, score))
        self._study.tell(choice, score)

    def grow(self, space: Space) -> None:
        if space == self._space:
            return
        for fresh, before, now in zip(self._fresh, self._space.sizes, space.sizes, strict=True):
            fresh[:0] = reversed(range(before, now))
        self._space = space
        self._study = self._made()

    def _made(self) -> TpeSampler:
        study = TpeSampler(self._space, self._rng.getrandbits(32))
        for choice, score in self._told:
            study.tell(choice, score)
        return study

    def _next(self) -> Choice | None:
        fresh = [options.pop() if options else None for options in self._fresh]
        for _ in range(DRAWS):
            asked = self._study.ask(1)
            if not asked:
                break
            choice = tuple(old if new is None else new for old, new in zip(asked[0], fresh, strict=True))
            if choice not in self._taken:
                return choice
        return self._space.first_outside(self._taken)


def one(job: tuple[str, str, int]) -> tuple[Outcome, Outcome]:
    """The same task with the bandit and with TPE."""
    name, kind, seed = job
    ours = asyncio.run(compiled(name, kind, seed, compat=False))
    with patch.object(mipro, "Bandit", GrowingTpe):
        return ours, asyncio.run(compiled(name, kind, seed, compat=False))


def lines(found: Iterable[tuple[Outcome, Outcome]], name: str) -> list[str]:
    every = list(found)
    heads = "| optimizer | kind | start | bandit | TPE | TPE − bandit | 90 % interval | calls: bandit | TPE | share |"
    rows = [heads, "| --- | --- |" + " ---: |" * (heads.count("|") - 3)]
    for kind in [*dict.fromkeys(ours.kind for ours, _ in every), "**all**"]:
        of = [pair for pair in every if kind in (pair[0].kind, "**all**")]
        rows.append(Pairs([ours for ours, _ in of], [theirs for _, theirs in of]).line(name, kind))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--auto", choices=("light", "medium"), default="light")
    parser.add_argument("--kinds", choices=("tuned", "held-out"), default="tuned")
    parser.add_argument("--jobs", type=int, default=1)
    flags = parser.parse_args()
    name = f"MIPROv2 {flags.auto}"
    kinds = TUNED if flags.kinds == "tuned" else HELD_OUT
    jobs = [(name, kind, seed) for kind in kinds for seed in range(flags.seeds)]
    with ProcessPoolExecutor(flags.jobs) as pool:
        print("\n".join(lines(pool.map(one, jobs), name)))


if __name__ == "__main__":
    main()
