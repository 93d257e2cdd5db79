"""Says which columns and outputs a metric reads: it fits every row and every program that has those."""

from __future__ import annotations

from typing import cast

from dspec.runtime.schema.expressions import Member, Variable
from dspec.runtime.schema.types import Frozen

from ... import ir


def members_read(made: ir.Metric, variable: str) -> frozenset[str] | None:
    """The members of a parameter that the metric reads, its judges included; None for all of them."""
    found: set[str] = set()
    parts = [
        made.score,
        made.accept,
        made.feedback,
        *(one for judge in made.judges for one in judge.inputs.values()),
        *(one for aggregate in made.aggregates for one in aggregate.inputs),
    ]
    whole = any(_reads_whole(part, variable, found) for part in parts)
    return None if whole else frozenset(found)


def _reads_whole(code: object, variable: str, found: set[str]) -> bool:
    """Whether the variable is read in another way than by its members, which are added to `found`."""
    match code:
        case Member(target=Variable(name=name), name=member) if name == variable:
            found.add(member)
            return False
        case Variable(name=name):
            return name == variable
        case Frozen():
            return any(_reads_whole(part, variable, found) for part in vars(code).values())
        case tuple():
            return any(_reads_whole(part, variable, found) for part in cast("tuple[object, ...]", code))
        case dict():
            return any(
                _reads_whole(part, variable, found) for part in cast("dict[str, object]", code).values()
            )
        case _:
            return False
