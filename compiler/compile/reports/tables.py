"""Makes tables of rows: two programs on the same rows, from what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.types import BOOL, JsonValue, OneOf, OneOfNumbers, OptionalOf, Type

from ... import ir
from ...data.rows import Example
from ...evaluate.outcomes import Evaluation
from ...evaluate.statistics import paired
from ..evals import scored
from .facts import ComparedRow, LabelPair, RowLook, RowTable
from .kept import SeenRow

MAX_LABELS = 60
"""Labels of a confusion matrix at most."""


def table_of(
    title: str,
    about: str,
    rows: Sequence[Example],
    dataset: ir.Dataset,
    metric: ir.Metric,
    before: tuple[str, Runnable | None, Sequence[SeenRow | None]],
    after: tuple[str, Runnable, Sequence[SeenRow | None]],
    *,
    unseen: bool,
) -> RowTable:
    """The rows under two programs, each with its name and what is known of it on each row."""
    both = [
        (old.result, new.result)
        for old, new in zip(before[2], after[2], strict=True)
        if old is not None and new is not None
    ]
    before_scores = [old.score for old, _ in both]
    after_scores = [new.score for _, new in both]
    return RowTable(
        title=title,
        about=about,
        metric=metric.name,
        before_name=before[0],
        after_name=after[0],
        inputs=tuple(field.name for field in dataset.inputs),
        golds=tuple(field.name for field in dataset.fields),
        outputs=tuple(field.name for field in after[1].outputs),
        rows=tuple(
            ComparedRow(example, look(old), look(new))
            for example, old, new in zip(rows, before[2], after[2], strict=True)
        ),
        before=_score(metric, before[2]),
        after=_score(metric, after[2]),
        paired=paired(before_scores, after_scores) if both else None,
        main=main_pair(metric, dataset, after[1]),
        labels=label_pair(metric, dataset, after[1]),
        unseen=unseen,
    )


def look(seen: SeenRow | None) -> RowLook | None:
    if seen is None:
        return None
    row = seen.result
    return RowLook(
        score=float(row.score),
        outputs=row.outputs,
        reason=row.reason or row.feedback or "",
        spent=seen.spent.total,
        flaws=seen.spent.flaws,
        failed=row.reason is not None,
        metric_failed=row.metric_failed,
    )


def _score(metric: ir.Metric, seen: Sequence[SeenRow | None]):
    known = tuple(one.result for one in seen if one is not None)
    return scored(metric.name, Evaluation(known)) if known else None


def main_pair(metric: ir.Metric, dataset: ir.Dataset, program: Runnable) -> tuple[str, str]:
    """The column and the output that stand for all where there is room for one: those that the metric holds against each other,
    else of one name, else the last of each, since what a strategy adds comes first. "" where there is none."""
    fields = [field.name for field in dataset.fields]
    outputs = [field.name for field in program.outputs]
    same = [(name, name) for name in fields if name in outputs]
    for gold, output in [*_compared(metric), *same]:
        if gold in fields and output in outputs:
            return gold, output
    return (fields or [""])[-1], (outputs or [""])[-1]


def label_pair(metric: ir.Metric, dataset: ir.Dataset, program: Runnable) -> LabelPair | None:
    """The column and the output of `main_pair`, or of another pair that the metric compares, whose values are few."""
    fields = {field.name: field.type for field in dataset.fields}
    outputs = {field.name: field.type for field in program.outputs}
    for gold, output in [*_compared(metric), main_pair(metric, dataset, program)]:
        if gold in fields and output in outputs and (values := labels_of(fields[gold])):
            other = labels_of(outputs[output])
            every = tuple(dict.fromkeys([*values, *other]))
            if other and len(every) <= MAX_LABELS:
                return LabelPair(gold, output, every)
    return None


def labels_of(kind: Type) -> tuple[str, ...]:
    """The values of a type that has few, as texts; none of any other."""
    match kind:
        case OneOf(values=values):
            return values
        case OneOfNumbers(values=values):
            return tuple(map(str, values))
        case OptionalOf(item=item):
            return labels_of(item)
        case _:
            return ("true", "false") if kind == BOOL else ()


def _compared(metric: ir.Metric) -> Iterator[tuple[str, str]]:
    """Members of gold and pred that one expression reads side by side: an equality, a function's arguments, an aggregate's."""
    plain: JsonValue = metric.model_dump(mode="json", include={"score", "lets", "aggregates"})
    waiting: list[JsonValue] = [plain]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            lists = [each for value in one.values() if isinstance(value, list) for each in value]
            names = [_member(side) for side in (*one.values(), *lists)]
            gold = next((name for owner, name in names if owner == metric.gold), "")
            pred = next((name for owner, name in names if owner == metric.pred), "")
            if gold and pred:
                yield gold, pred
            waiting += one.values()


def _member(value: JsonValue) -> tuple[str, str]:
    """Variable and member of an expression such as `gold.intent`."""
    if isinstance(value, dict) and value.get("op") == "member":
        target = value.get("target")
        if isinstance(target, dict) and target.get("op") == "variable":
            return str(target.get("name")), str(value.get("name"))
    return "", ""
