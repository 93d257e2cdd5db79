"""Says which columns and outputs a metric reads: it fits every row and every program that has those."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from dspec.runtime.schema.expressions import Expression, Member, Variable
from dspec.runtime.schema.types import Frozen

from ..expressions.scope import Measure


def members_read(
    parts: Iterable[Expression | None], measure: Measure, variable: str
) -> frozenset[str] | None:
    """The members of a parameter that these parts of a metric read, its judges and values included; None for all of them."""
    found: set[str] = set()
    names = {variable}
    values: list[Expression] = []
    for let in measure.lets:
        if isinstance(let.value, Variable) and let.value.name in names:
            names.add(let.name)  # another name of the same
        else:
            values.append(let.value)
    read = [*parts, *values, *(one for judge in measure.judges for one in judge.inputs.values())]
    whole = any(_reads_whole(part, name, found) for part in read for name in names)
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
