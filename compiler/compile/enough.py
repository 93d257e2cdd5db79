"""How many rows of val a compile looks at where `scoring = "enough"`: those that decide, and no more.

Steps compare on some of the rows, as many as the most demanding one of them can make use of: more would be paid for twice,
by the scorings of start and winner, and tell the search no more. The result is then compared with the start on these, and on
others that no step has seen, until it is certain which one is better (`sequential`) or what that may cost is used up.

All of val is looked at where it is hardly more than that; where there is no val; where a metric has aggregates, which take all
rows together; and where a step keeps to DSPy's schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .. import ir
from ..data import Rows
from ..evaluate.streams import stream
from ..optimizers.base import FEWEST_COMPARED, Options
from .chain import spec_of

NEARLY = 1.3
"""How many times as many rows val may have to be looked at as a whole."""
SHARE = 0.1
"""What the comparison on further rows may cost, as a share of what the steps took."""
MOST = 2_000
"""Further rows at most, however much the steps took."""
BLOCK = 10
"""Rows of the first look at further ones; each look after it doubles them."""


def parts(optimize: ir.Optimize, metric: ir.Metric, train: Rows, val: Rows) -> tuple[Rows, Rows]:
    """The rows of val on which the steps compare, in their order; and the others, in the order in which they are looked at."""
    faithful = any(step.compat is not None for step in optimize.steps)
    if optimize.scoring == "all" or optimize.val is None or metric.aggregates or faithful:
        return val, ()
    if optimize.minimize is not None:
        return val, ()  # a gate is reached with the more certainty the more rows there are
    wanted = max([FEWEST_COMPARED, *(_wanted(step, len(train), len(val)) for step in optimize.steps)])
    if len(val) <= NEARLY * wanted:
        return val, ()
    # Drawn, and not shuffled: of a million rows no others are made.
    drawn = min(len(val), wanted + MOST)
    places = stream(optimize.seed, "rows of val").sample(range(len(val)), drawn)
    raced = tuple(val[place] for place in sorted(places[:wanted]))
    if optimize.scoring == "none":
        return raced, ()
    return raced, tuple(val[place] for place in places[wanted:])


def _wanted(step: ir.StepSpec, train: int, val: int) -> int:
    spec = spec_of(step)
    if spec.nests:
        return val
    return min(val, spec.compares_on(Options(spec, step.options), train, val))


def affordable(rest: int, taken: int, each: int) -> int:
    """How many of `rest` further rows may be looked at, where the steps took so many calls, and a row takes `each`."""
    return min(rest, int(SHARE * taken / max(1, each)))


def looks(most: int) -> Sequence[range]:
    """The places of the further rows, look after look."""
    ends = [0]
    while ends[-1] < most:
        ends.append(min(most, max(BLOCK, 2 * ends[-1])))
    return [range(start, end) for start, end in pairwise(ends)]
