"""One evaluation's rows as they come: told as they arrive, kept and decided in the rows' order."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator, Sequence

from dspec.runtime.errors import BudgetExceeded, ParseError, Stopped

from ..data.rows import Example
from ..diagnostics.wording import plural
from .events import Report, RowScored
from .outcomes import Evaluation, RowResult
from .scoring import MetricError
from .shares import overall, shares_of
from .turns import RunUse

UNREADABLE_AT_FIRST = 8
"""Rows, the first of an evaluation, whose answers tell whether any can be read."""


class Unreadable(ParseError):
    """None of the first answers could be read."""


Told = Callable[[int, float], None]
"""Told of a row's place in an evaluation, from 0, and of its score."""


class Gathered:
    """Collects one evaluation's rows, with running sums for the progress report.

    The evaluation ends at the first row, in the rows' order, that has no result (a failure, or a halt), that is the
    last of `max_errors` on which the metric fails, or with `must_read` the last of the first few that all are unreadable.
    Which one that is is known once all rows before it are; `last` is the one that it can be at the latest. So what is raised
    and counted does not depend on how fast answers come.
    """

    def __init__(
        self,
        rows: Sequence[Example],
        max_errors: int,
        label: str,
        report: Report,
        told: Told | None = None,
        *,
        must_read: bool = False,
        nothing: Callable[[Example], float] = lambda row: 0.0,
    ) -> None:
        self.last = len(rows) - 1
        """The last row that is still needed."""
        self.uses: list[list[RunUse]] = [[] for _ in rows]
        """By row: the runs that it needed."""
        self._examples = rows
        self._rows: list[RowResult | None] = [None] * len(rows)
        self._errors: dict[int, MetricError] = {}
        self._failing: list[int] = []
        """The rows with such errors, in order."""
        self._ends: dict[int, Exception] = {}
        self._max_errors = max_errors
        self._label = label
        self._report = report
        self._told = told
        self._nothing = nothing
        self._unread = min(UNREADABLE_AT_FIRST, len(rows)) if must_read else 0
        """How many of the first rows are still out, or could not be read; 0 once one of them could."""
        self._done = 0
        self._sum = 0.0

    def take(self, place: int, outcome: RowResult | Exception) -> bool:
        """Keeps what came of a row. Returns whether rows that are under way have become pointless by it: those beyond
        `last`, unless it was a halt, after which what is under way is finished."""
        if place > self.last:
            return False
        if isinstance(outcome, RowResult):
            self._scored(place, outcome)
            return self._nothing_read()
        if isinstance(outcome, MetricError):
            self._errors[place] = outcome
            insort(self._failing, place)
            row = self._examples[place]
            self._scored(
                place, RowResult(row.index, self._nothing(row), None, outcome.message, metric_failed=True)
            )
            if len(self._failing) < self._max_errors:
                return False
            before, self.last = self.last, min(self.last, self._failing[self._max_errors - 1])
            return self.last < before
        self._ends[place] = outcome
        self.last = place
        return not isinstance(outcome, BudgetExceeded | Stopped)

    def _nothing_read(self) -> bool:
        """Ends the evaluation where the first rows are in, and none of them could be read."""
        if not self._unread:
            return False
        first = self._rows[: self._unread]
        if any(row is not None and not row.unreadable for row in first):
            self._unread = 0
        if not self._unread or None in first:
            return False
        place, self._unread = self._unread - 1, 0
        why = first[0].reason if first[0] is not None else ""
        said = (
            f"none of the first {place + 1} answers could be read"
            if place
            else "the first answer could not be read"
        )
        self._ends[place] = Unreadable(f"{said}: {why}")
        before, self.last = self.last, place
        return self.last < before

    def counted(self) -> Iterator[RunUse]:
        """The runs of the rows up to the one that decided, in the rows' order."""
        for uses in self.uses[: self.last + 1]:
            yield from uses

    def complete(self) -> Evaluation:
        """The evaluation, once no row up to `last` is out. Raises what ended it."""
        if (end := self._ends.get(self.last)) is not None:
            raise end
        if len(self._failing) >= self._max_errors and self._failing[self._max_errors - 1] == self.last:
            raise self._too_many()
        return Evaluation(tuple(row for row in self._rows if row is not None))

    def _scored(self, place: int, result: RowResult) -> None:
        self._rows[place] = result
        self._done += 1
        self._sum += result.score
        self._report(RowScored(self._label, self._done, len(self._rows), self._so_far()))
        if self._told is not None:
            self._told(place, result.score)

    def _so_far(self) -> float:
        """The mean of the rows that are in; once all are, what aggregates make of them."""
        if self._done == len(self._rows):
            scores = [row.score for row in self._rows if row is not None]
            if shares_of(scores):
                return overall(scores)
        return self._sum / self._done

    def _too_many(self) -> MetricError:
        first = self._errors[self._failing[0]]
        more = self._max_errors - 1
        tried = self.last + 1
        return MetricError(
            first.message
            if more == 0
            else f"{first.message} (and on {more} more of the first {plural(tried, 'row')})",
            help="; ".join(
                filter(None, [first.help or "the metric must give a score for every row", self._lenient()])
            ),
        )

    def _lenient(self) -> str:
        """What lets an evaluation go on where one failure ends it."""
        return '`on_error = "score_zero"` scores such a row 0 and says so' if self._max_errors == 1 else ""
