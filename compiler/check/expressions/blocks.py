"""The blocks of a program as they are read: the steps that expressions make, and names for those without a `let`.

A call is no expression at run time: it is a step, and the expression reads that step's value. Whatever may be
skipped or run several times is a block of its own: a branch, the right side of `and` and `or`, an item of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.schema.program import (
    BranchStep,
    CallStep,
    CheckStep,
    NestedSteps,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
    walked,
)
from dspec.runtime.values.interpret import names

_NOTHING = frozenset[str]()


class StepBlock(Struct):
    """The steps of one block in the order in which they are read."""

    numbers: dict[str, int] = field(default_factory=dict[str, int])
    """How many names `free_name` made from each word, in the whole program."""
    steps: list[Step] = field(default_factory=list[Step])
    made_from: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """For each value, the calls of this block that it was made from: a check that fails on the value may repeat them."""

    def add(self, step: Step, *, asked_again: bool = False) -> None:
        """`asked_again` says that the step ends with an exchange with a model, which a failed check can continue."""
        self.steps.append(step)
        if isinstance(step, CheckStep):
            return
        if isinstance(step, ValueStep):
            self.made_from[step.name] = self.sources(names(step.value))
        else:
            self.made_from[step.name] = frozenset((step.name,)) if asked_again else _NOTHING

    def sources(self, read: Iterable[str]) -> frozenset[str]:
        """The calls that the values of these names were made from."""
        return _NOTHING.union(*(self.made_from.get(name, _NOTHING) for name in read))

    def latest(self, calls: frozenset[str]) -> str | None:
        """The last step among the calls."""
        found = (step.name for step in reversed(self.steps) if not isinstance(step, CheckStep))
        return next((name for name in found if name in calls), None)

    def inner(self) -> StepBlock:
        """A block inside this one."""
        return StepBlock(self.numbers)

    def free_name(self, wanted: str) -> str:
        """A name that nobody can write, and that no other step of the program has."""
        number = self.numbers[wanted] = self.numbers.get(wanted, 0) + 1
        return f"{wanted}#{number}"

    def nested(self, value: Expression) -> NestedSteps:
        return NestedSteps(steps=tuple(self.steps), value=value)


class Side(Struct, frozen=True):
    """One side of a choice: the block with its calls, and its value."""

    block: StepBlock | None
    value: Expression

    def nested(self) -> NestedSteps:
        return NestedSteps(value=self.value) if self.block is None else self.block.nested(self.value)


def has_steps(side: Side) -> bool:
    return side.block is not None and bool(side.block.steps)


def branched(
    block: StepBlock, name: str, condition: Expression, consequence: Side, alternative: Side
) -> Expression:
    """The value of a step that runs one of two blocks."""
    step = BranchStep(
        name=name,
        condition=condition,
        consequence=consequence.nested(),
        alternative=alternative.nested(),
    )
    block.add(step)
    return Variable(name=name)


def calls_in(steps: Iterable[Step]) -> Iterator[str]:
    """What the steps and those inside them call, by key."""
    for step in walked(steps):
        match step:
            case CallStep(predictor=key) | RunStep(runs=key) | ToolStep(tool=key):
                yield key
            case _:
                pass
