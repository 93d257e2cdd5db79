"""Several attempts at the same inputs, the one with the best reward counting: what BestOfN and Refine share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from ...errors import AnswerError
from ...schema.program import ModuleSpec
from ...schema.types import Row
from .base import REWARD, RUNS, Conductor, Scored, StrategyOption, Times, faithful

TEMPERATURE = 1.0
"""Temperature of the attempts: at 0 each would say the same."""

OPTIONS = (
    StrategyOption("n", "integer", "Attempts at most.", low=1, high=1000),
    StrategyOption(
        "reward", "metric", "A metric of the prediction alone, which says how good an attempt is."
    ),
    StrategyOption("threshold", "number", "The reward from which an attempt is good enough.", low=0, high=1),
    StrategyOption(
        "fail_count",
        "integer",
        "Attempts that may fail before the run does; `n` unless said.",
        low=0,
        high=1000,
        optional=True,
    ),
)

Missed = Callable[[int, Row, Scored], Awaitable[Mapping[str, str]]]
"""What follows an attempt that was not good enough: hints for the next one."""


async def best(work: Conductor, inputs: Row, missed: Missed | None = None) -> Row:
    """The outputs of the first attempt that is good enough, else of the best one, the first of equals.

    Where too many attempts fail, or all of them, raises the error of the last one that failed.
    """
    n, threshold = number(work.module, "n"), number(work.module, "threshold")
    failures = _Failures(work.module)
    chosen: tuple[float, Row] | None = None
    hints: Mapping[str, str] = {}
    for take in range(int(n)):
        try:
            outputs = await work.attempt(inputs, take=take, temperature=TEMPERATURE, hints=hints)
            found = await work.score(inputs, outputs, take=take)
            if chosen is None or found.score > chosen[0]:
                chosen = found.score, outputs
                work.choose(take)
            if found.score >= threshold:
                break
            if missed is not None and take < n - 1:
                hints = await missed(take, outputs, found)
        except AnswerError as error:
            work.note(f"attempt {take + 1} failed: {error.message}")
            failures.add(take, error.within(f"`{work.name}`, attempt {take + 1} of {n:.0f}"))
    if chosen is None:
        assert failures.last is not None
        raise failures.last
    return chosen[1]


class _Failures:
    """Counts failed attempts. DSPy counts in another way: there each failure also lowers the number that is allowed."""

    def __init__(self, module: ModuleSpec) -> None:
        self.last: AnswerError | None = None
        given = module.options.get("fail_count")
        self._as_dspy = faithful(module)
        everything = number(module, "n")
        self._left = everything if given is None or (self._as_dspy and given == 0) else cast("float", given)

    def add(self, take: int, error: AnswerError) -> None:
        """Counts a failure. Raises it where it is one too many."""
        self.last = error
        if take > self._left if self._as_dspy else self._left == 0:
            raise error
        self._left -= 1


def number(module: ModuleSpec, name: str) -> float:
    return cast("float", module.options[name])


def times(module: ModuleSpec) -> Mapping[str, Times]:
    n = int(number(module, "n"))
    return {RUNS: Times(1, n), REWARD: Times(1, n)}
