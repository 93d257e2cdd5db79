"""What a metric says of one row: its score, whether the trace may become a demo, and feedback.

A metric sees the dataset's row under its `gold` name and the program's outputs under its `pred`
name; `accept` and `feedback` see `score` besides. A metric that fails is the user's mistake, or
the judge's, and never a low score in silence: it raises `MetricError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dspec.runtime.errors import DspecError, EvaluationError
from dspec.runtime.expressions import Expression
from dspec.runtime.interpret import evaluate
from dspec.runtime.types import JsonValue, Row
from dspec.runtime.values import short

from . import ir

MAX_ERRORS = 10
"""Rows on which a metric may fail before the evaluation stops."""


class MetricError(DspecError):
    """The metric gave no score for a row, or something that is not one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` lies in 0..1; `accept` is None where the metric does not say."""

    score: float
    accept: bool | None = None
    feedback: str | None = None

    def passes(self, threshold: float | None = None) -> bool:
        """Whether the trace may become a demo.

        With a threshold the score must reach it; the metric's `accept`, where there is one, must
        hold too. With neither, a score that is not 0 passes.
        """
        if threshold is not None and self.score < threshold:
            return False
        if self.accept is not None:
            return self.accept
        return threshold is not None or self.score > 0.0


def judge(metric: ir.Metric, gold: Row, pred: Row, row: int) -> Verdict:
    """Score a program's outputs; `row` counts from 0 and is only used in messages.

    Raises MetricError when an expression fails, the score is not a bool or a number in 0..1, or
    `accept` is not a bool.
    """
    scope: dict[str, JsonValue] = {metric.gold: gold, metric.pred: pred}
    value = _value(metric, "score", metric.score, scope, row)
    score = _number(value)
    if score is None:
        raise MetricError(
            f"metric `{metric.name}` gave {short(value)} on row {row + 1}",
            help="`score` must be true, false, or a number from 0 to 1",
        )
    scope["score"] = value
    accept: bool | None = None
    if metric.accept is not None:
        answer = _value(metric, "accept", metric.accept, scope, row)
        if not isinstance(answer, bool):
            raise MetricError(
                f"`accept` of metric `{metric.name}` gave {short(answer)} on row {row + 1}",
                help="`accept` must be true or false",
            )
        accept = answer
        scope["accept"] = answer
    feedback: str | None = None
    if metric.feedback is not None:
        said = _value(metric, "feedback", metric.feedback, scope, row)
        feedback = said if isinstance(said, str) else short(said)
    return Verdict(score, accept, feedback)


def _number(value: JsonValue) -> float | None:
    """The score as a float, or None where it is none: NaN, infinite, out of range, another type."""
    if not isinstance(value, bool | int | float):
        return None
    number = float(value) if abs(value) <= 1 else math.nan
    return number if 0.0 <= number <= 1.0 else None


def _value(
    metric: ir.Metric, part: str, expression: Expression, scope: dict[str, JsonValue], row: int
) -> JsonValue:
    try:
        return evaluate(expression, scope)
    except EvaluationError as error:
        raise MetricError(
            f"`{part}` of metric `{metric.name}` failed on row {row + 1}: {error.message}",
            help=error.help,
        ) from error
