"""Scores within GEPA's budget: every program on every row at most once, each new one a metric call; and how good each program
is by all of them (`search.kinship`).

Nothing here decides what to score. The caller looks at the price first, and never asks for more than is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dspec.runtime.schema.program import Program

from ..evaluate.digests import program_digest
from ..search import Kinship

if TYPE_CHECKING:
    from ..data.rows import Example
    from .base import Context


class Scores:
    """`left` is what remains of the budget, of which the program at the start takes all of val."""

    def __init__(self, context: Context, budget: int) -> None:
        self.left = budget
        self._context = context
        self._known: dict[str, dict[str, float]] = {}
        self._kinship = Kinship()
        self._numbers: dict[str, int] = {}

    async def begin(self, program: Program, label: str) -> None:
        """Score the program at the start on val. The budget pays for repeated rows, too, as the plan has it."""
        self._numbers[program_digest(program)] = 0
        left = self.left - len(self._context.val)
        await self.score(program, self._context.val, label)
        self.left = left

    def born(self, program: Program, parent: Program) -> None:
        """A new program, before it is scored, and what it was made of."""
        self._numbers[program_digest(program)] = self._kinship.born(self._numbers[program_digest(parent)])

    def worth(self, programs: Iterable[Program]) -> list[float]:
        """What each of the programs would score on average rows, by everything that was seen of it and its kin."""
        means = self._kinship.means()
        return [means[self._numbers[program_digest(program)]] for program in programs]

    def price(self, program: Program, rows: Iterable[Example]) -> int:
        """Metric calls that scoring the program on the rows would take."""
        return len(self._missing(program, rows))

    def fresh_price(self, rows: Iterable[Example]) -> int:
        """Metric calls that scoring a program would take that was never scored."""
        return len({row.digest for row in rows})

    async def score(self, program: Program, rows: Sequence[Example], label: str) -> list[float]:
        """The rows' scores. Raises what the evaluation raises."""
        missing = self._missing(program, rows)
        assert len(missing) <= self.left, "scored without having looked at the price"
        self.left -= len(missing)
        key = program_digest(program)
        known = self._known.setdefault(key, {})
        if missing:
            found = await self._context.evaluator.evaluate(program, list(missing.values()), label=label)
            for row, score in zip(missing, found.scores, strict=True):
                known[row] = score
                self._kinship.told(self._numbers[key], row, score)
        return [known[row.digest] for row in rows]

    def on_val(self, program: Program) -> tuple[float, ...]:
        known = self._known[program_digest(program)]
        return tuple(known[row.digest] for row in self._context.val)

    def _missing(self, program: Program, rows: Iterable[Example]) -> dict[str, Example]:
        known = self._known.get(program_digest(program), {})
        return {row.digest: row for row in rows if row.digest not in known}
