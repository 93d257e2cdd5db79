"""The number of a metric: the mean of its rows' scores, or what its aggregates make of all rows.

A metric with aggregates (`macro_f1(gold.intent, pred.intent)`) has no score for a row by itself. So a row's score is there
what the metric says of that row alone: whether its labels agree, or its value. That is the row's share of the credit, for whoever
looks at single rows (demos, Pareto fronts, rows that rose or fell); it carries what the aggregates read, so that
`overall` makes the number of any rows. Scores of other metrics are plain numbers, and their number is the mean.

Aggregates rise with every row that becomes right, and so does what a metric may make of them (`check/expressions/aggregates`).
Hence rows that are still out can be bounded, and one that nobody answered is no better than a wrong one of its label, but that it
costs no other label its precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dspec.runtime.errors import EvaluationError, InputError
from dspec.runtime.running.rewards import Judged, number_of_score
from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.values.interpret import evaluate
from dspec.runtime.values.values import short

from ..tables.aggregates import AGGREGATES, NO_ANSWER, Label, Read

if TYPE_CHECKING:  # the table of optimizers is read where nothing runs
    from dspec.runtime.schema.types import JsonValue, Row

    from .. import ir

Reads = tuple[Read, ...]
"""What each aggregate of a metric reads of one row, in the metric's order."""


class Share(float):
    """What the metric says of one row alone, in 0..1, with what its aggregates read of the row."""

    __slots__ = ("metric", "reads")

    metric: ir.Metric
    reads: Reads

    def __new__(cls, metric: ir.Metric, reads: Reads) -> Share:
        share = super().__new__(cls, number(metric, [reads], [1]))
        share.metric, share.reads = metric, reads
        return share


def number(metric: ir.Metric, reads: Sequence[Reads], weights: Sequence[float]) -> float:
    """What the metric makes of rows that it reads so, at least one; each counts as much as its weight."""
    scope: dict[str, JsonValue] = {
        one.name: AGGREGATES[one.function].compute([row[place] for row in reads], weights, one.percent)
        for place, one in enumerate(metric.aggregates)
    }
    made = evaluate(metric.score, scope)
    assert isinstance(made, int | float), "the check lets nothing else through"
    return min(1.0, max(0.0, float(made)))


def overall(scores: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The number of rows that have these scores, 0.0 without rows; weights count for aggregates alone.

    A mean is correctly rounded: equal for equal scores in any order.
    """
    if not scores:
        return 0.0
    shares = shares_of(scores)
    if not shares:
        return math.fsum(scores) / len(scores)
    return number(shares[0].metric, [one.reads for one in shares], weights or [1] * len(shares))


def shares_of(scores: Sequence[float]) -> list[Share]:
    """The scores, where they are those of a metric with aggregates; else none."""
    return [score for score in scores if isinstance(score, Share)]


def perfect(scores: Sequence[float]) -> bool:
    """Whether nothing can be better: a score of 1 on every row, or a number of 1."""
    return all(score >= 1.0 for score in scores) or bool(shares_of(scores) and overall(scores) >= 1.0)


def said_perfect(scores: Sequence[float]) -> str:
    """What is perfect about such scores, as a sentence without its end."""
    return (
        "every row scores 100" if all(score >= 1.0 for score in scores) else "the score over all rows is 100"
    )


def leaves_something(score: float) -> bool:
    """Whether one row's score shows that the number is below 1, whatever the others are."""
    if not isinstance(score, Share):
        return score < 1.0
    return score < 1.0 and all(AGGREGATES[one.function].tells for one in score.metric.aggregates)


def at_best(score: float) -> float:
    """The highest score that anything can have on the row that has this one."""
    return 1.0 if not isinstance(score, Share) else _share_of(score, right=True)


def at_worst(score: float) -> float:
    """The lowest score that anything can have on the row that has this one: that of no answer."""
    return 0.0 if not isinstance(score, Share) else _share_of(score, right=False)


def _share_of(score: Share, *, right: bool) -> Share:
    return Share(
        score.metric,
        tuple(
            (read[0], read[0] if right else NO_ANSWER) if isinstance(read, tuple) else float(right)
            for read in score.reads
        ),
    )


def labels_of(score: float) -> tuple[Label, ...]:
    """The row's labels that aggregates read; none of a plain score, and where they read numbers alone."""
    if not isinstance(score, Share):
        return ()
    return tuple(read[0] for read in score.reads if isinstance(read, tuple))


def share(metric: ir.Metric, evaluated: Callable[[Expression], JsonValue]) -> Share:
    """The score of a row for which the aggregates' arguments are evaluated so.

    Raises EvaluationError where one of them cannot be computed, or is no label or number in 0..1, and what reading a judge
    raises.
    """
    reads: list[Read] = []
    for one in metric.aggregates:
        values = [evaluated(expression) for expression in one.inputs]
        if AGGREGATES[one.function].of_labels:
            gold, pred = (_label(one.function, value) for value in values)
            reads.append((gold, pred))
            continue
        value = number_of_score(values[0])
        if value is None:
            raise EvaluationError(
                f"`{one.function}` was given {short(values[0])}",
                help="its value must be true, false, or a number from 0 to 1",
            )
        reads.append(value)
    return Share(metric, tuple(reads))


def nothing(metric: ir.Metric, gold: Row) -> float:
    """The score of a row that has no answer, or on which the metric failed: 0, or what aggregates make of its labels
    alone. A label that cannot be computed is `none`."""
    if not metric.aggregates:
        return 0.0
    scope = Judged({metric.gold: gold}, metric.lets, (), {})
    reads: list[Read] = []
    for one in metric.aggregates:
        if not AGGREGATES[one.function].of_labels:
            reads.append(0.0)
            continue
        try:
            reads.append((_label(one.function, scope.value(one.inputs[0])), NO_ANSWER))
        except (EvaluationError, InputError):
            reads.append((None, NO_ANSWER))
    return Share(metric, tuple(reads))


def _label(function: str, value: JsonValue) -> Label:
    if isinstance(value, list | dict):
        raise EvaluationError(
            f"`{function}` compares labels, and was given {short(value)}",
            help="a label is one text, whole number, true or false",
        )
    return value


def right_or_wrong(metric: ir.Metric) -> bool | None:
    """Whether a row's score is 0 or 1 by the form of a metric with aggregates; None where that is a question of its score."""
    if not metric.aggregates:
        return None
    return isinstance(metric.score, Variable) and AGGREGATES[metric.aggregates[0].function].of_labels
