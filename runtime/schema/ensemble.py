"""Ensembles: several whole programs that answer the same input, and a rule that makes one answer of theirs.

`Runnable` is whatever can be run, scored, saved and loaded: a program, or an ensemble of programs.
`programs` and `each` reach the programs inside, so that little else needs to know of ensembles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, overload

from pydantic import Discriminator, Field, Tag

from .program import LM, FieldSpec, Program, Record
from .types import FLOAT, Frozen, ListOf, OptionalOf, Type

MAX_MEMBERS = 1_000


class Majority(Frozen, defer_build=True):
    """The answer of the first member whose `field` has the most frequent value.

    As in DSPy, texts are compared normalised, a text that is empty then counts only if all are, and ties
    go to the earliest. Values of a closed set are compared as they are.
    """

    kind: Literal["majority"] = "majority"
    field: str


class Mean(Frozen, defer_build=True):
    """The mean of a number; the other outputs are those of the member that came nearest to it."""

    kind: Literal["mean"] = "mean"
    field: str


class First(Frozen, defer_build=True):
    """The answer of the first member that has one."""

    kind: Literal["first"] = "first"


class ByProgram(Frozen, defer_build=True):
    """What a program makes of the answers; its outputs are the ensemble's.

    An input `x` or `xs` of type `list[T]` takes the members' outputs `x` of type `T`, in the members' order;
    any other takes the ensemble's input of its name. A member without a usable answer is left out.
    """

    kind: Literal["program"] = "program"
    program: Program


Reducer = Annotated[Majority | Mean | First | ByProgram, Field(discriminator="kind")]


class Ensemble(Frozen, defer_build=True):
    """Programs that answer the same question, and how their answers become one.

    All members take `inputs` and give `outputs`; what else one gives is left out. Where a program
    reduces, `outputs` are that program's. `size` members answer each input, all of them when it
    is None.
    """

    name: str
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    members: tuple[Program, ...] = Field(min_length=1, max_length=MAX_MEMBERS)
    reduce: Reducer
    size: int | None = None
    seed: int = 0

    @property
    def reducer(self) -> Program | None:
        """The program that makes one answer of the members', where one does."""
        return self.reduce.program if isinstance(self.reduce, ByProgram) else None

    @property
    def records(self) -> dict[str, Record]:
        own = {} if self.reducer is None else self.reducer.records
        return {**own, **self.members[0].records}

    @property
    def lms(self) -> dict[str, LM]:
        """The models by name. Where members share a name, the first member's model counts."""
        found: dict[str, LM] = {}
        for program in parts(self):
            found = program.lms | found
        return found

    def with_lms(self, lms: dict[str, LM]) -> Ensemble:
        """The same ensemble on other models: in each member they replace those of the same names."""
        return everywhere(
            self, lambda one: one.with_lms({name: lms[name] for name in one.lms if name in lms})
        )


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "ensemble" if "members" in value else "program"
    return "ensemble" if isinstance(value, Ensemble) else "program"


Runnable = Annotated[
    Annotated[Program, Tag("program")] | Annotated[Ensemble, Tag("ensemble")], Discriminator(_kind)
]


def programs(runnable: Runnable) -> tuple[Program, ...]:
    """The programs in it, in order: itself, or its members."""
    return (runnable,) if isinstance(runnable, Program) else runnable.members


def each(runnable: Runnable, change: Callable[[Program], Program]) -> Runnable:
    """The same with the program, or each member of the ensemble, changed."""
    if isinstance(runnable, Program):
        return change(runnable)
    return _each_member(runnable, change)


def parts(runnable: Runnable) -> tuple[Program, ...]:
    """Like `programs`, with the program that reduces: every program that can ask a model."""
    if isinstance(runnable, Program):
        return (runnable,)
    return runnable.members if runnable.reducer is None else (*runnable.members, runnable.reducer)


@overload
def everywhere(runnable: Ensemble, change: Callable[[Program], Program]) -> Ensemble: ...
@overload
def everywhere(runnable: Runnable, change: Callable[[Program], Program]) -> Runnable: ...
def everywhere(runnable: Runnable, change: Callable[[Program], Program]) -> Runnable:
    """Like `each`, with the program that reduces changed, too."""
    if isinstance(runnable, Program):
        return change(runnable)
    changed = _each_member(runnable, change)
    if runnable.reducer is None:
        return changed
    return changed.model_copy(update={"reduce": ByProgram(program=change(runnable.reducer))})


def _each_member(ensemble: Ensemble, change: Callable[[Program], Program]) -> Ensemble:
    return ensemble.model_copy(update={"members": tuple(map(change, ensemble.members))})


def collected(name: str, kind: Type, outputs: Mapping[str, Type]) -> str | None:
    """The output whose values an input of a reducing program takes. The input has the output's name or, since a
    signature cannot have an input and an output of one name, its plural."""
    if not isinstance(kind, ListOf):
        return None
    return next((one for one in (name, name.removesuffix("s")) if outputs.get(one) == kind.item), None)


def unfed(reducer: Program, inputs: Sequence[FieldSpec], members: Sequence[Program]) -> list[str]:
    """Names of the reducer's inputs that get a value neither from each member's outputs nor from the ensemble's inputs."""
    own = {field.name: field.type for field in inputs}
    outputs = [{field.name: field.type for field in member.outputs} for member in members]
    return [
        field.name
        for field in reducer.inputs
        if any(collected(field.name, field.type, one) is None for one in outputs)
        and own.get(field.name) != field.type
        and not field.has_default
    ]


def lacking(wanted: Sequence[FieldSpec], given: Sequence[FieldSpec]) -> list[str]:
    """Names of the fields that are not given with the type that is wanted."""
    types = {field.name: field.type for field in given}
    return [field.name for field in wanted if types.get(field.name) != field.type]


def has_mean(kind: Type) -> bool:
    """Whether values of the type have a mean of the same type."""
    return needed(kind) == FLOAT


def needed(kind: Type) -> Type:
    """The type without its `?`."""
    return kind.item if isinstance(kind, OptionalOf) else kind
