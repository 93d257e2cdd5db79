"""Recorded calls held against the rows that a program was compiled on: do its inputs look as they did, and is it as good?

Each input is tested by what it is: a label by its shares, a number by its size, anything else by how long it is; and all by how
often they are missing. Scores that people gave are tested against what the artifact scored. A difference is drift where it is
both sure, corrected for the number of tests, and large.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.artifact.artifact import Score
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import BOOL, FLOAT, INT, JsonValue, OneOf, OneOfNumbers, OptionalOf, Row, Type

from ..evaluate.twosample import (
    Difference,
    counted,
    holm,
    labels_differ,
    means_differ,
    numbers_differ,
    shares_differ,
)

ALPHA = 0.01
EFFECT = 0.1
MOST_LABELS = 50
"""A text with at most so many values, each of them there twice or more, is a label, whatever its type."""
_SHOWN = 5
"""Labels that are told of."""
_LONGEST = 60

DriftTest = Literal["labels", "size", "length", "missing", "score"]


class DriftLine(Struct, frozen=True):
    """One test. `before` and `after` say in words what was compared."""

    field: str
    """An input; "" of scores."""
    test: DriftTest
    before: str
    after: str
    effect: float
    """How far apart, 0 to 1."""
    p_value: float
    corrected: float = 1.0
    """The p-value, corrected for how many tests there are."""
    drifted: bool = False
    new: tuple[str, ...] = ()
    """Labels that no row has that it was compiled on, the most frequent first."""


class Drift(Struct, frozen=True):
    """What was found of so many recorded calls beside so many rows."""

    program: str
    rows: int
    calls: int
    scored: int
    lines: tuple[DriftLine, ...]
    alpha: float
    effect: float
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def drifted(self) -> bool:
        return any(line.drifted for line in self.lines)


def drift_of(
    program: str,
    inputs: Sequence[FieldSpec],
    rows: Sequence[Row],
    calls: Sequence[Row],
    score: Score | None,
    scores: Sequence[float],
    *,
    alpha: float = ALPHA,
    effect: float = EFFECT,
    notes: Iterable[str] = (),
) -> Drift:
    """`rows` are the inputs it was compiled on, `calls` recorded ones, `score` what it scored then and `scores` what people gave
    since. A difference is drift with a corrected p-value below `alpha` and at least the `effect`."""
    lines = [line for spec in inputs for line in _of_field(spec, rows, calls)] if rows and calls else []
    if score is not None and scores:
        lines.append(_of_scores(score, scores))
    corrected = holm([line.p_value for line in lines])
    return Drift(
        program,
        len(rows),
        len(calls),
        len(scores),
        tuple(
            replace(line, corrected=p, drifted=p < alpha and line.effect >= effect)
            for line, p in zip(lines, corrected, strict=True)
        ),
        alpha,
        effect,
        tuple(notes),
    )


def _of_field(spec: FieldSpec, rows: Sequence[Row], calls: Sequence[Row]) -> list[DriftLine]:
    before, after = ([_present(row.get(spec.name)) for row in side] for side in (rows, calls))
    gone = [sum(value is None for value in side) for side in (before, after)]
    lines: list[DriftLine] = []
    if any(gone):
        difference = shares_differ(gone[0], len(before), gone[1], len(after))
        shown = [_share(count, len(side)) for count, side in zip(gone, (before, after), strict=True)]
        lines.append(_line(spec.name, "missing", shown, difference))
    old, new = ([value for value in side if value is not None] for side in (before, after))
    if old and new:
        lines.append(_of_values(spec, old, new))
    return lines


def _of_values(spec: FieldSpec, old: Sequence[JsonValue], new: Sequence[JsonValue]) -> DriftLine:
    kind = spec.type.item if isinstance(spec.type, OptionalOf) else spec.type
    if _is_label(kind, old):
        first, second = counted([_named(one) for one in old]), counted([_named(one) for one in new])
        unknown = [name for name in second if name not in first]
        shown = [_told(first), _told(second)]
        line = _line(spec.name, "labels", shown, labels_differ(first, second))
        return replace(line, new=tuple(name[:_LONGEST] for name in unknown[:_SHOWN]))
    if kind in (INT, FLOAT) and (sizes := _numbers(old)) and (others := _numbers(new)):
        return _line(spec.name, "size", _middles(sizes, others, ""), numbers_differ(sizes, others))
    long, longer = [_length(one) for one in old], [_length(one) for one in new]
    unit = " characters" if all(isinstance(one, str) for one in (*old, *new)) else " long"
    return _line(spec.name, "length", _middles(long, longer, unit), numbers_differ(long, longer))


def _of_scores(score: Score, scores: Sequence[float]) -> DriftLine:
    mean = math.fsum(scores) / len(scores)
    difference = means_differ(score.score, score.low, score.high, scores)
    return _line("", "score", [f"{score.score:.3f}", f"{mean:.3f}"], difference)


def _line(field: str, test: DriftTest, shown: Sequence[str], found: Difference) -> DriftLine:
    return DriftLine(field, test, shown[0], shown[1], found.effect, found.p_value)


def _present(value: JsonValue) -> JsonValue:
    """The value; None for one that says nothing."""
    return None if value in ("", [], {}) or (isinstance(value, str) and not value.strip()) else value


def _is_label(kind: Type, values: Sequence[JsonValue]) -> bool:
    if kind == BOOL or isinstance(kind, OneOf | OneOfNumbers):
        return True
    distinct: set[str] = set()
    for value in values:
        if not isinstance(value, str):
            return False
        distinct.add(value)
        if len(distinct) > MOST_LABELS:
            return False
    return 2 * len(distinct) <= len(values)


def _named(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _numbers(values: Sequence[JsonValue]) -> list[float]:
    """None of them where one is no number."""
    found = [float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    return found if len(found) == len(values) else []


def _length(value: JsonValue) -> int:
    return len(value) if isinstance(value, str | list | dict) else len(_named(value))


def _middles(before: Sequence[float], after: Sequence[float], unit: str) -> list[str]:
    return [f"{median(side):g}{unit}" for side in (before, after)]


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %"


def _told(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{name[:_LONGEST]} {_share(count, total)}" for name, count in list(counts.items())[:3]]
    return ", ".join(parts) + (f" and {len(counts) - 3} more" if len(counts) > 3 else "")
