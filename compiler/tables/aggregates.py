"""The aggregates of a metric: numbers that are made of all rows at once, where a score is otherwise a mean over them.

The only place where an aggregate's facts, words and arithmetic stand: the check, completion and the docs read this table, and
an evaluation computes with it. Each is given what it reads of every row, and a weight for each, so that resampled rows,
and rows that stand for others of their label, are computed as rows are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, cast

from msgspec import Struct

NO_ANSWER: Final = ("no answer",)
"""What a row without an answer has in the place of a label: it equals none."""

Label = str | int | float | bool | tuple[str] | None
Read = tuple[Label, Label] | float
"""What an aggregate reads of a row: its label and the program's, or a number in 0..1."""

PERCENT: Final = "p"
"""The argument that is no value of a row: how many percent of the rows."""


class AggregateFunction(Struct, frozen=True):
    """One aggregate. It lies in 0..1, never falls when a row becomes right, and is 1 where every row reads as well as it can.

    Of one row it is the row's own: whether the labels agree, or the number.
    """

    name: str
    doc: str
    of_labels: bool
    """Whether it reads two labels of each row, rather than one number."""
    compute: Callable[[Sequence[Read], Sequence[float], float], float]
    """Reads and weights of rows, at least one, and the percentage."""
    takes_percent: bool = False
    tells: bool = True
    """Whether it is below 1 as soon as one row is not as good as it can be."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("gold", "pred") if self.of_labels else ("value", *([PERCENT] if self.takes_percent else []))

    @property
    def values(self) -> tuple[str, ...]:
        """The arguments that are computed for each row."""
        return self.arguments[:2] if self.of_labels else self.arguments[:1]

    @property
    def shape(self) -> str:
        """The call in brief, as messages show it."""
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def signature(self) -> str:
        """The call as reference pages and completion show it."""
        kinds = {"gold": "label", "pred": "label", "value": "bool or number", PERCENT: "number"}
        return f"{self.name}({', '.join(f'{one}: {kinds[one]}' for one in self.arguments)}) -> float"


class _Counts(Struct):
    """Of one label: rows that have it and were given it, rows that have it, rows that were given it."""

    right: float = 0.0
    gold: float = 0.0
    pred: float = 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.gold + self.pred)

    @property
    def accuracy(self) -> float:
        return self.right / self.gold


def _counted(reads: Sequence[Read], weights: Sequence[float]) -> list[_Counts]:
    """The counts of every label that a row has. What no row has is a wrong answer and no label: else one stray answer of
    thousands would cost as much as a whole label."""
    counts: dict[Label, _Counts] = {}
    for (gold, pred), weight in zip(cast("Sequence[tuple[Label, Label]]", reads), weights, strict=True):
        own = counts.get(gold)
        if own is None:
            own = counts[gold] = _Counts()
        own.gold += weight
        if pred == gold:
            own.right += weight
            own.pred += weight
        elif pred is not NO_ANSWER:
            given = counts.get(pred)
            if given is None:
                given = counts[pred] = _Counts()
            given.pred += weight
    return [one for one in counts.values() if one.gold]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _macro_f1(reads: Sequence[Read], weights: Sequence[float], _percent: float) -> float:
    return _mean([one.f1 for one in _counted(reads, weights)])


def _weighted_f1(reads: Sequence[Read], weights: Sequence[float], _percent: float) -> float:
    counts = _counted(reads, weights)
    return math.fsum(one.gold * one.f1 for one in counts) / math.fsum(one.gold for one in counts)


def _balanced_accuracy(reads: Sequence[Read], weights: Sequence[float], _percent: float) -> float:
    return _mean([one.accuracy for one in _counted(reads, weights)])


def _worst_label(reads: Sequence[Read], weights: Sequence[float], _percent: float) -> float:
    return min(one.accuracy for one in _counted(reads, weights))


def _weighted_mean(reads: Sequence[Read], weights: Sequence[float], _percent: float) -> float:
    values = cast("Sequence[float]", reads)
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(
        weights
    )


_HAIR = 1e-9


def _percentile(reads: Sequence[Read], weights: Sequence[float], percent: float) -> float:
    """The nearest rank: the lowest value that so many percent of the rows do not pass."""
    rising = sorted(zip(cast("Sequence[float]", reads), weights, strict=True))
    wanted = percent / 100 * math.fsum(weights)
    # A hair less, since weights that stand for rows of a label need not add up to the last bit.
    wanted -= _HAIR * wanted
    seen = 0.0
    for value, weight in rising:
        seen += weight
        if seen >= wanted:
            return value
    return rising[-1][0]


AGGREGATES: dict[str, AggregateFunction] = {
    one.name: one
    for one in (
        AggregateFunction(
            "macro_f1",
            "Mean over the labels that the rows have of each one's F1, every label counting the same.",
            True,
            _macro_f1,
        ),
        AggregateFunction(
            "weighted_f1",
            "Mean over the labels of each one's F1, a label counting as much as it has rows.",
            True,
            _weighted_f1,
        ),
        AggregateFunction(
            "balanced_accuracy",
            "Mean over the labels of the share of its rows that are right, every label counting the same.",
            True,
            _balanced_accuracy,
        ),
        AggregateFunction(
            "worst_label",
            "The share of right rows of the label that has the lowest.",
            True,
            _worst_label,
        ),
        AggregateFunction("mean", "Mean of the value over the rows.", False, _weighted_mean),
        AggregateFunction(
            "percentile",
            "The lowest value of a row that at least `p` percent of the rows do not pass (nearest rank).",
            False,
            _percentile,
            takes_percent=True,
            tells=False,
        ),
    )
}
