"""Finds the bounds of an expression's value over all rows, so that `check` can report what no score reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from dspec.runtime.schema.expressions import (
    Apply,
    BinaryOp,
    Constant,
    Expression,
    ForEach,
    If,
    ListOfItems,
    Member,
    UnaryOp,
    Variable,
)


class Bounds(NamedTuple):
    """All numbers from `low` to `high`. `free` counts the values in the expression that depend on the row. If there is
    only one, some row may reach either end."""

    low: float
    high: float
    free: int = 1

    def beside(self, other: Bounds) -> bool:
        """Whether the two have no number in common."""
        return self.high < other.low or other.high < self.low

    @property
    def is_score(self) -> bool:
        """Whether the value lies in 0..1 and depends on the row."""
        return self.free > 0 and self.low >= 0 and self.high <= 1


ANY_NUMBER = Bounds(-math.inf, math.inf)
SHARE = Bounds(0.0, 1.0)

_SHARES = frozenset({"f1", "json_diff", "reciprocal_rank", "precision_at", "recall_at", "ndcg"})


_NOTHING_KNOWN: Mapping[str, Bounds] = {}


def range_of(
    code: Expression, scores: Collection[str] = (), known: Mapping[str, Bounds] = _NOTHING_KNOWN
) -> Bounds:
    """The bounds of the number that `code` gives; `scores` are the names of values in 0..1, such as `baseline.score`, and
    `known` has the bounds of others."""
    match code:
        case Constant(value=bool() | int() | float() as value):
            return Bounds(float(value), float(value), 0) if abs(value) < 1e300 else ANY_NUMBER
        case Variable(name=name) if name in scores:
            return SHARE
        case Variable(name=name) if name in known:
            return known[name]
        case Member(target=Variable(name=target), name=name) if f"{target}.{name}" in scores:
            return SHARE
        case Apply(function=name, arguments=arguments, named=named):
            return _of_function(name, [range_of(one, scores, known) for one in (*arguments, *named.values())])
        case UnaryOp(operator="-", operand=operand):
            inner = range_of(operand, scores, known)
            return Bounds(-inner.high, -inner.low, inner.free)
        case BinaryOp(operator="+" | "-" | "*" | "/" as operator, left=left, right=right):
            return _of_two(operator, range_of(left, scores, known), range_of(right, scores, known))
        case ForEach(element=element):
            return range_of(element, scores, known)._replace(free=1)  # of each item
        case ListOfItems(items=items) if items:
            each = [range_of(item, scores, known) for item in items]
            return Bounds(min(one.low for one in each), max(one.high for one in each))
        case If(consequence=consequence, alternative=alternative):
            one, other = range_of(consequence, scores, known), range_of(alternative, scores, known)
            return Bounds(min(one.low, other.low), max(one.high, other.high), 1 + one.free + other.free)
        case _:
            return ANY_NUMBER


def _of_function(name: str, given: list[Bounds]) -> Bounds:
    free = sum(one.free for one in given)
    match name:
        case "len":
            return Bounds(0.0, math.inf)
        case "abs" if len(given) == 1:
            (one,) = given
            most = max(abs(one.low), abs(one.high))
            return Bounds(0.0 if one.low <= 0 <= one.high else min(abs(one.low), abs(one.high)), most, free)
        case "min" if len(given) > 1:
            return Bounds(min(one.low for one in given), min(one.high for one in given), free)
        case "max" if len(given) > 1:
            return Bounds(max(one.low for one in given), max(one.high for one in given), free)
        case "mean" | "min" | "max" if len(given) == 1:
            return given[0]._replace(free=1)
        case "round" if len(given) == 1 and not math.isinf(given[0].low) and not math.isinf(given[0].high):
            return Bounds(round(given[0].low), round(given[0].high), free)
        case _:
            return SHARE if name in _SHARES else ANY_NUMBER


_COMPUTE: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _of_two(operator: str, left: Bounds, right: Bounds) -> Bounds:
    if operator == "/" and right.low <= 0 <= right.high:
        return ANY_NUMBER
    ends = [_COMPUTE[operator](a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    if any(map(math.isnan, ends)):
        return ANY_NUMBER
    return Bounds(min(ends), max(ends), left.free + right.free)
