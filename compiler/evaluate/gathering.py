"""One evaluation's rows as they come: kept in the rows' order, told as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..data.rows import Example
from .events import Report, RowScored
from .outcomes import Evaluation, RowResult
from .scoring import MetricError

Told = Callable[[int, float], None]
"""Told of a row's place in an evaluation, from 0, and of its score."""


class Gathered:
    """Collects one evaluation's rows as they come, with running sums for the progress report."""

    def __init__(
        self, rows: Sequence[Example], max_errors: int, label: str, report: Report, told: Told | None = None
    ) -> None:
        self._examples = rows
        self._rows: list[RowResult | None] = [None] * len(rows)
        self._errors: dict[int, MetricError] = {}
        self._max_errors = max_errors
        self._label = label
        self._report = report
        self._told = told
        self._done = 0
        self._sum = 0.0

    def take(self, place: int, result: RowResult | MetricError) -> None:
        if isinstance(result, MetricError):
            self._errors[place] = result
            if len(self._errors) >= self._max_errors:
                raise self._too_many()
            result = RowResult(self._examples[place].index, 0.0, None, result.message)
        self._rows[place] = result
        self._done += 1
        self._sum += result.score
        self._report(RowScored(self._label, self._done, len(self._rows), self._sum / self._done))
        if self._told is not None:
            self._told(place, result.score)

    def complete(self) -> Evaluation:
        return Evaluation(tuple(row for row in self._rows if row is not None))

    def _too_many(self) -> MetricError:
        first = self._errors[min(self._errors)]
        count = len(self._errors)
        return MetricError(
            first.message if count == 1 else f"{first.message} (and {count - 1} more rows)",
            help=first.help or "the metric must give a score for every row",
        )
