"""What is known of every arm: its scores on a beginning of the rows, the same rows for all.

A board scores; it does not decide. Equal programs share their scores, whatever they are called. What
one arm took is never asked again: more rows continue where it stopped. At the budget's wall, or when
the engine is stopped, the board keeps what it has and says so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.program import Program

from ..digests import program_digest
from ..optimizers.base import Candidate
from ..tasks import Halt, together
from .order import stratified

if TYPE_CHECKING:
    from ..optimizers.base import Context


class Arm(Struct, frozen=True):
    """A program to compare, under the name that messages give it."""

    label: str
    program: Program


class Board:
    """Scores of arms on `context.val`. The first arm is the incumbent, known on every row."""

    def __init__(self, context: Context, incumbent: Arm, scores: Sequence[float], rng: random.Random) -> None:
        self._context = context
        self._order = stratified(scores, rng)
        self._arms: dict[str, Arm] = {}
        self._scores: dict[str, list[float]] = {}
        self._complete: list[str] = []
        self.incumbent = incumbent
        key = self._register(incumbent)
        self._scores[key] = [scores[place] for place in self._order]
        self._completed(key)

    @property
    def rows(self) -> int:
        return len(self._order)

    @property
    def looks(self) -> tuple[int, ...]:
        """On how many rows each distinct arm was scored, the incumbent left out, and those that never were."""
        own = program_digest(self.incumbent.program)
        return tuple(len(scores) for key, scores in self._scores.items() if scores and key != own)

    def knows(self, program: Program) -> bool:
        return program_digest(program) in self._arms

    def seen(self, arm: Arm) -> int:
        """Rows on which the arm has been scored."""
        return len(self._scores.get(program_digest(arm.program), ()))

    def scores(self, arm: Arm) -> Sequence[float]:
        """The arm's scores on the first rows of the order."""
        return self._scores.get(program_digest(arm.program), [])

    def mean(self, arm: Arm, rows: int | None = None) -> float:
        """Mean score on the first `rows` rows, or on all that the arm has seen; 0.0 on none."""
        scores = self.scores(arm)[:rows]
        return math.fsum(scores) / len(scores) if scores else 0.0

    def estimate(self, arm: Arm) -> float:
        """What the arm would score on all rows, judged by how it differs from the incumbent so far.

        A control variate: rows that are hard for one are mostly hard for the other.
        """
        seen = self.seen(arm)
        if seen == 0:
            return self.mean(self.incumbent)
        lead = self.mean(arm) - self.mean(self.incumbent, seen)
        return min(1.0, max(0.0, self.mean(self.incumbent) + lead))

    async def begin(self, arm: Arm, rows: int) -> None:
        """Score a program that is sure to be an arm on the first `rows` rows, before it is one: `extend` then has
        nothing left to ask for. Arms are known in the order of `extend`, whichever began first.

        Raises what the evaluation raises, halts included.
        """
        key = program_digest(arm.program)
        if len(self._scores.get(key, ())) < rows:
            scores = await self._slice(arm, 0, rows)
            if len(self._scores.get(key, ())) < rows:
                self._scores[key] = scores

    async def extend(self, arms: Sequence[Arm], rows: int) -> Halt | None:
        """Score every arm on the first `rows` rows, all at the same time.

        A halt comes back, with what was scored until then kept; other failures are raised.
        """
        keys = list(dict.fromkeys(map(self._register, arms)))
        due = {key: seen for key in keys if (seen := len(self._scores[key])) < rows}
        found = await together([self._slice(self._arms[key], start, rows) for key, start in due.items()])
        halt: Halt | None = None
        for key, scores in zip(due, found, strict=True):
            if isinstance(scores, list):
                self._scores[key] += scores
            else:
                halt = halt or scores
        for key in keys:
            if len(self._scores[key]) == self.rows and key not in self._complete:
                self._completed(key)
        return halt

    def candidates(self) -> list[Candidate]:
        """The arms that were scored on all rows, in the order in which they were first seen."""
        complete = set(self._complete)
        return [self._candidate(key) for key in self._arms if key in complete]

    async def _slice(self, arm: Arm, start: int, end: int) -> list[float]:
        rows = [self._context.val[place] for place in self._order[start:end]]
        evaluation = await self._context.evaluator.evaluate(arm.program, rows, label=arm.label)
        return list(evaluation.scores)

    def _register(self, arm: Arm) -> str:
        key = program_digest(arm.program)
        self._arms.setdefault(key, arm)
        self._scores.setdefault(key, [])
        return key

    def _completed(self, key: str) -> None:
        self._complete.append(key)
        self._context.progress(self._arms[key].label, self._candidate(key).score)

    def _candidate(self, key: str) -> Candidate:
        arm = self._arms[key]
        scores = dict(zip(self._order, self._scores[key], strict=True))
        return Candidate(arm.label, arm.program, tuple(scores[place] for place in range(self.rows)))


async def open_board(context: Context, incumbent: Arm, rng: random.Random) -> Board:
    """A board whose incumbent is scored on all rows. Raises what the evaluation raises, halts included."""
    if context.start_scored is not None:
        await context.start_scored.wait()
    evaluation = await context.evaluator.evaluate(incumbent.program, context.val, label=incumbent.label)
    return Board(context, incumbent, evaluation.scores, rng)
