"""One `step` as it was written: its optimizer, its options and what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from dspec.grammar.tree import Argument, Call, Step
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...optimizers.base import Options, Spec
from ...optimizers.compat.table import Compat
from ...project.source import Location
from ..session import Place
from ..symbols import Symbol


class StepInfo(Struct, frozen=True):
    """`spec` and `options` are None when the optimizer is unknown or cannot run yet.

    `student` and `teacher` are the steps or programs that were named; `clean` is False after a
    mistake in the options.
    """

    place: Place
    name: str
    symbol: Symbol | None
    node: Step
    call: Call | None
    spec: Spec | None
    given: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    arguments: Mapping[str, Argument] = field(default_factory=dict[str, Argument])
    student: str | None = None
    teacher: str | None = None
    teachers: tuple[str, ...] = ()
    """Further ones, where a list was written."""
    clean: bool = True
    members: tuple[ir.MemberRef, ...] = ()
    nested: Mapping[str, StepInfo] = field(default_factory=dict[str, "StepInfo"])
    """Optimizers given as options, by name."""
    compat: Compat | None = None
    frozen: tuple[str, ...] = ()
    """Addresses of predictors that it leaves as they are."""

    @property
    def where(self) -> Location:
        """The place of its name, or of the whole step where it has none."""
        return self.place.at(self.node.name or self.node)

    def options(self) -> Options | None:
        return Options(self.spec, self.given) if self.spec and self.clean else None

    def ir(self) -> ir.StepSpec | None:
        if self.spec is None:
            return None
        return ir.StepSpec(
            name=self.name,
            optimizer=self.spec.name,
            options=dict(self.given),
            student=self.student,
            teacher=self.teacher,
            teachers=self.teachers,
            members=self.members,
            nested={name: spec for name, inner in self.nested.items() if (spec := inner.ir()) is not None},
            compat=self.compat,
            frozen=self.frozen,
        )


def named_steps(steps: Iterable[StepInfo]) -> dict[str, Symbol | None]:
    """The symbols of the steps that have a name, by name."""
    return {step.name: step.symbol for step in steps if step.symbol is not None}
