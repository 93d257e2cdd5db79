"""What a metric says of one row: its score, whether the trace may become a demo, and feedback.

A metric sees the dataset's row under its `gold` name and the program's outputs under its `pred`
name; `accept` and `feedback` see `score` besides, and `reason`, what the judges of the score said. A
metric that fails is the user's mistake, or the judge's, and never a low score in silence: it raises
`MetricError`, which names the metric, the place where it is written, and the row.

Nothing here calls a model. An expression that reads the score of a judge that nobody has asked yet ends
with `Wanted`; who scores a row asks that judge and tries again, so that a branch that is not taken
costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from msgspec import Struct

from dspec.runtime.errors import DspecError, EvaluationError, InputError
from dspec.runtime.running.rewards import REASON, Judged, Opinions, number_of_score
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.values.interpret import evaluate
from dspec.runtime.values.values import short

from .. import ir
from .shares import Share, share

MAX_ERRORS = 10
"""Rows on which a metric may fail, where `on_error` makes scores of 0 of them, before the evaluation stops."""


class MetricError(DspecError):
    """The metric gave no score for a row, or something that is not one."""


_NO_FEEDBACKS: Mapping[str, str] = MappingProxyType({})


class Verdict(Struct, frozen=True):
    """`score` lies in 0..1, of a metric with aggregates what it says of the row alone (`shares`); `accept` is None where
    the metric does not say."""

    score: float
    accept: bool | None = None
    feedback: str | None = None
    feedbacks: Mapping[str, str] = _NO_FEEDBACKS
    """What is said for single predictors and tools, by address."""

    def feedback_for(self, address: str | None) -> str | None:
        """What is said for a predictor or tool, else for all."""
        return self.feedback if address is None else self.feedbacks.get(address, self.feedback)

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


_NONE: Opinions = MappingProxyType({})


def score_row(metric: ir.Metric, gold: Row, pred: Row, row: int, opinions: Opinions = _NONE) -> Verdict:
    """Score a program's outputs; `row` counts from 0 and is only used in messages.

    `opinions` holds what the metric's judges said of these outputs, by the judges' names.

    Raises MetricError when an expression fails, the score is not a bool or a number in 0..1, or
    `accept` is not a bool; Wanted when the opinion of a judge is needed that is not there.
    """
    scope: dict[str, JsonValue] = {metric.gold: gold, metric.pred: pred}
    if metric.judges or metric.lets:
        scope = Judged(scope, metric.lets, metric.judges, opinions)
    value = _score(metric, scope, row)
    score = value if isinstance(value, Share) else number_of_score(value)
    if score is None:
        raise MetricError(
            f"{told(metric)} gave {short(value)} on row {row + 1}",
            help="`score` must be true, false, or a number from 0 to 1",
        )
    scope["score"] = float(value) if isinstance(value, Share) else value
    if isinstance(scope, Judged):
        scope.setdefault(REASON, "\n".join(scope.heard))
    accept: bool | None = None
    if metric.accept is not None:
        answer = _value(metric, "accept", metric.accept, scope, row)
        if not isinstance(answer, bool):
            raise MetricError(
                f"`accept` of {told(metric)} gave {short(answer)} on row {row + 1}",
                help="`accept` must be true or false",
            )
        accept = answer
        scope["accept"] = answer
    feedback: str | None = None
    if metric.feedback is not None:
        feedback = _said(_value(metric, "feedback", metric.feedback, scope, row))
    feedbacks = {
        address: _said(_value(metric, f"feedback for {address}", code, scope, row))
        for address, code in metric.feedbacks.items()
    }
    return Verdict(score, accept, feedback, feedbacks or _NO_FEEDBACKS)


def _said(value: JsonValue) -> str:
    return value if isinstance(value, str) else short(value)


def _score(metric: ir.Metric, scope: dict[str, JsonValue], row: int) -> JsonValue:
    if not metric.aggregates:
        return _value(metric, "score", metric.score, scope, row)
    try:
        return share(metric, partial(_evaluated, scope))
    except (EvaluationError, InputError) as error:
        raise _failed(metric, "score", row, error) from error


def told(metric: ir.Metric) -> str:
    """What messages call a metric: its name, and where it is written as far as that is known."""
    return f"metric `{metric.name}`" + (f" ({metric.where})" if metric.where else "")


def _value(
    metric: ir.Metric, part: str, expression: Expression, scope: dict[str, JsonValue], row: int
) -> JsonValue:
    try:
        return _evaluated(scope, expression)
    except (EvaluationError, InputError) as error:
        raise _failed(metric, part, row, error) from error


def _evaluated(scope: dict[str, JsonValue], expression: Expression) -> JsonValue:
    return scope.value(expression) if isinstance(scope, Judged) else evaluate(expression, scope)


def _failed(metric: ir.Metric, part: str, row: int, error: DspecError) -> MetricError:
    return MetricError(
        f"`{part}` of {told(metric)} failed on row {row + 1}: {error.message}", help=error.help
    )
