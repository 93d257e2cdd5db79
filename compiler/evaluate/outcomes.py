"""What comes of running programs on rows: a row's score, an evaluation's, a candidate's, one traced attempt.

Values only. `evaluation` makes them; whoever wants them without spending a call reads them here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from .shares import overall

if TYPE_CHECKING:  # read where nothing runs, by the table of optimizers
    from dspec.runtime.schema.program import Program
    from dspec.runtime.schema.trace import TraceStep
    from dspec.runtime.schema.types import Row

    from ..data.rows import Example
    from .scoring import Verdict


Seen = tuple[float | None, ...]
"""A program's score of each row; None where a race ended before it."""


def rows_seen(scores: Seen) -> int:
    """On how many rows a program was scored."""
    return sum(score is not None for score in scores)


class RowResult(Struct, frozen=True):
    """One row's score, with aggregates what they make of it alone (`shares`). `reason` says why there are no outputs, or why
    the metric failed."""

    index: int
    score: float
    outputs: Row | None
    reason: str | None = None
    feedback: str | None = None
    unanswered: bool = False
    """True when the model never answered, and the score is 0 because `on_error` says so."""
    unreadable: bool = False
    """True when the model's answer could not be read."""
    metric_failed: bool = False
    """True when the metric failed, or its judge's answer could not be read: likewise."""


class Evaluation(Struct, frozen=True):
    """A program's scores on rows, in the rows' order."""

    rows: tuple[RowResult, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        return tuple(row.score for row in self.rows)

    @property
    def score(self) -> float:
        """The number of all rows (`shares.overall`): the mean of their scores, or what aggregates make of them."""
        return overall(self.scores)

    @property
    def failures(self) -> int:
        """Rows without a usable answer, or on which the metric failed."""
        return sum(row.reason is not None for row in self.rows)

    @property
    def unanswered(self) -> int:
        """Rows, among the failures, whose model never answered."""
        return sum(row.unanswered for row in self.rows)

    @property
    def metric_failures(self) -> int:
        """Rows, among the failures, on which the metric failed."""
        return sum(row.metric_failed for row in self.rows)


class Attempt(Struct, frozen=True):
    """One traced run. `verdict` is None when there is nothing to score; then `reason` says why."""

    example: Example
    outputs: Row | None
    trace: tuple[TraceStep, ...]
    verdict: Verdict | None
    reason: str | None = None
    metric_failed: bool = False
    unreadable: bool = False
    """True when there are no outputs because the answer could not be read, and not for a broken check."""

    def passes(self, threshold: float | None = None) -> bool:
        """Whether the trace may become a demo (`Verdict.passes`)."""
        return self.verdict is not None and self.verdict.passes(threshold)


class Candidate(Struct, frozen=True):
    """A fully evaluated program: `scores` holds one number in 0..1 per validation row."""

    label: str
    program: Program
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """The number of all rows, as in `Evaluation`."""
        return overall(self.scores)
