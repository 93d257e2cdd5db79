"""Orders the steps of a graph: what each waits for, and what a check has done again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from ..schema.expressions import Expression
from ..schema.identity import Same
from ..schema.program import (
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
)
from ..values.interpret import names


class StepPlace(Struct, frozen=True):
    """A step's place in the order of things: indices of other steps, all before it.

    `after` must be done before it starts. For a check, `blamed` is the step it sends back, and `redone`
    are the steps between the two that follow from that one.
    """

    after: tuple[int, ...]
    blamed: int | None = None
    redone: tuple[int, ...] = ()


_SINGLE = (StepPlace(()),)


def order_of(steps: tuple[Step, ...]) -> tuple[StepPlace, ...]:
    """`plan`, made once for a program's steps, since every row, item and round runs them again. Most programs are one
    call, which needs no plan."""
    if len(steps) == 1 and isinstance(steps[0], CallStep):
        return _SINGLE
    return _planned(Same(steps))


@lru_cache(maxsize=1024)
def _planned(steps: Same[tuple[Step, ...]]) -> tuple[StepPlace, ...]:
    return plan(steps.value)


def plan(steps: Sequence[Step]) -> tuple[StepPlace, ...]:
    """Each step's place. Only earlier steps are ever waited for, so there are no circles."""
    places: list[StepPlace] = []
    read: list[set[int]] = []
    made: dict[str, int] = {}
    held: dict[int, list[int]] = {}
    """By step: the checks that may have it done again."""
    gates: list[int] = []
    """Checks that blame no step. Everything later waits for them: where one fails, the run ends and spends no more."""
    for index, step in enumerate(steps):
        reads = {made[name] for name in _reads(step) if name in made}
        read.append(reads)
        after = reads | {check for other in reads for check in held.get(other, ())} | set(gates)
        if not isinstance(step, CheckStep):
            made[step.name] = index
            places.append(StepPlace(tuple(sorted(after))))
            continue
        blamed = made.get(step.blames) if step.blames is not None else None
        if blamed is None:
            gates.append(index)
            places.append(StepPlace(tuple(sorted(after))))
            continue
        redone = _following(read, blamed, index)
        # A step that is to be done again must have been done, and no other check may redo it meanwhile.
        touched = {blamed, *redone}
        after |= touched | {check for other in touched for check in held.get(other, ())}
        for other in touched:
            held.setdefault(other, []).append(index)
        places.append(StepPlace(tuple(sorted(after)), blamed, redone))
    return tuple(places)


def _following(read: Sequence[set[int]], start: int, end: int) -> tuple[int, ...]:
    """Steps between two that read, directly or not, what the first makes."""
    found = {start}
    for index in range(start + 1, end):
        if found & read[index]:
            found.add(index)
    return tuple(sorted(found - {start}))


def _reads(step: Step) -> frozenset[str]:
    """The variables that a step reads from the scope around it."""
    match step:
        case CallStep(arguments=arguments) | RunStep(arguments=arguments) | ToolStep(arguments=arguments):
            return _all(arguments.values())
        case ValueStep(value=value):
            return names(value)
        case CheckStep(check=check):
            return names(check.condition) | names(check.message)
        case BranchStep():
            return (
                names(step.condition)
                | _inside(step.consequence.steps, (step.consequence.value,))
                | _inside(step.alternative.steps, (step.alternative.value,))
            )
        case EachStep():
            return names(step.iterable) | (_inside(step.body.steps, (step.body.value,)) - {step.variable})
        case RepeatStep():
            until = () if step.until is None else (step.until,)
            value = () if step.value is None else (step.value,)
            values = (*until, *step.again.values(), *step.last.values(), *value)
            inside = _inside((*step.steps, *step.then), values)
            return _all(step.start.values()) | (inside - step.start.keys())


def _inside(steps: Sequence[Step], values: Iterable[Expression]) -> frozenset[str]:
    """What steps in a scope of their own, and the values after them, read from around it."""
    read = _all(values).union(*map(_reads, steps))
    return read - {step.name for step in steps if not isinstance(step, CheckStep)}


def _all(values: Iterable[Expression]) -> frozenset[str]:
    return frozenset[str]().union(*map(names, values))
