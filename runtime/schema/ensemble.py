"""Ensembles: several whole programs that answer the same input, and a rule that makes one answer of theirs.

`Runnable` is whatever can be run, scored, saved and loaded: a program, or an ensemble of programs.
`programs` and `each` reach the programs inside, so that little else needs to know of ensembles.

Members answer at the same time. One without a usable answer has no vote; a provider's failure is no
answer at all and ends the run. Nothing here is random: which members answer an input depends on the
ensemble's seed and on the input alone.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, overload

from msgspec import Struct
from pydantic import Discriminator, Field, Tag

from ..values.scoring import normalize_text
from .program import LM, FieldSpec, Program, Record, canonical, digest
from .types import FLOAT, Frozen, JsonValue, ListOf, OneOf, OptionalOf, Row, Type

MAX_MEMBERS = 1_000


class Majority(Frozen):
    """The answer of the first member whose `field` has the most frequent value.

    As DSPy has it: text is compared normalised, what is empty then does not count unless all is, ties
    go to the earliest. Values of a closed set are compared as they are.
    """

    kind: Literal["majority"] = "majority"
    field: str


class Mean(Frozen):
    """The mean of a number; the other outputs are those of the member that came nearest to it."""

    kind: Literal["mean"] = "mean"
    field: str


class First(Frozen):
    """The answer of the first member that has one."""

    kind: Literal["first"] = "first"


class ByProgram(Frozen):
    """What a program makes of the answers; its outputs are the ensemble's.

    An input `x` or `xs` of type `list[T]` takes the members' outputs `x` of type `T`, in the members' order;
    any other takes the ensemble's input of its name. A member without a usable answer is left out.
    """

    kind: Literal["program"] = "program"
    program: Program


Reducer = Annotated[Majority | Mean | First | ByProgram, Field(discriminator="kind")]


class Ensemble(Frozen):
    """Programs that answer the same question, and how their answers become one.

    All members take `inputs` and have `outputs`, if need be among others, which are left out; where a
    program reduces, `outputs` are that program's. `size` members answer each input, all of them when it
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
        """The models by name; of one name, the first member's."""
        found: dict[str, LM] = {}
        for program in parts(self):
            found = program.lms | found
        return found

    def with_lms(self, lms: dict[str, LM]) -> Ensemble:
        """The same ensemble on other models: each member's of the same names are replaced."""
        return everywhere(
            self, lambda one: one.with_lms({name: lms[name] for name in one.lms if name in lms})
        )

    def calls_per_run(self) -> int:
        """Model calls of one run at most, when every answer parses and every check holds."""
        calls = [member.calls_per_run() for member in self.members]
        reducing = 0 if self.reducer is None else self.reducer.calls_per_run()
        return sum(heapq.nlargest(self.size or len(calls), calls)) + reducing


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
    """The same with itself, or every member, changed."""
    if isinstance(runnable, Program):
        return change(runnable)
    return _each_member(runnable, change)


def parts(runnable: Runnable) -> tuple[Program, ...]:
    """The same with the program that reduces: whatever can ask a model."""
    if isinstance(runnable, Program):
        return (runnable,)
    return runnable.members if runnable.reducer is None else (*runnable.members, runnable.reducer)


@overload
def everywhere(runnable: Ensemble, change: Callable[[Program], Program]) -> Ensemble: ...
@overload
def everywhere(runnable: Runnable, change: Callable[[Program], Program]) -> Runnable: ...
def everywhere(runnable: Runnable, change: Callable[[Program], Program]) -> Runnable:
    """The same with every program in it changed, the one that reduces too."""
    if isinstance(runnable, Program):
        return change(runnable)
    changed = _each_member(runnable, change)
    if runnable.reducer is None:
        return changed
    return changed.model_copy(update={"reduce": ByProgram(program=change(runnable.reducer))})


def _each_member(ensemble: Ensemble, change: Callable[[Program], Program]) -> Ensemble:
    return ensemble.model_copy(update={"members": tuple(map(change, ensemble.members))})


def drawn(ensemble: Ensemble, inputs: Row) -> tuple[int, ...]:
    """Which members answer these (checked) inputs, in order: `size` of them, drawn by hash."""
    every = range(len(ensemble.members))
    if ensemble.size is None or ensemble.size >= len(every):
        return tuple(every)
    recipe = f"{ensemble.seed}|{digest(inputs)}"
    lots = {place: hashlib.sha256(f"{recipe}|{place}".encode()).digest() for place in every}
    return tuple(sorted(sorted(every, key=lots.__getitem__)[: ensemble.size]))


class Election(Struct, frozen=True):
    """What became of the answers: the outputs, the place of the one they come from, and how many agreed.

    Where a program made the outputs, the place is that of the first answer that says the same, if one does.
    """

    outputs: Row
    elected: int | None
    agreed: int


def elect(ensemble: Ensemble, answers: Sequence[Row | None]) -> Election | None:
    """One answer of several, None being a member without a vote; None when none has one.

    Not for an ensemble whose answers a program reduces: that takes a run (`ballot`, `reduced`).
    """
    names = [field.name for field in ensemble.outputs]
    votes = [
        (place, {name: answer[name] for name in names})
        for place, answer in enumerate(answers)
        if answer is not None
    ]
    if not votes:
        return None
    match ensemble.reduce:
        case First():
            place, answer = votes[0]
            return Election(answer, place, 1)
        case Majority(field=field):
            return _most_frequent(ensemble, field, votes)
        case Mean(field=field):
            return _mean(field, votes)
        case ByProgram():
            raise TypeError("a program reduces by being run")


def ballot(ensemble: Ensemble, inputs: Row, answers: Sequence[Row | None]) -> Row | None:
    """What the reducing program is given; None when no member has a usable answer."""
    votes = [answer for answer in answers if answer is not None]
    if not votes or ensemble.reducer is None:
        return None
    given: Row = {}
    outputs = {field.name: field.type for field in ensemble.members[0].outputs}
    for field in ensemble.reducer.inputs:
        name = collected(field.name, field.type, outputs)
        if name is not None:
            given[field.name] = [vote[name] for vote in votes]
        elif field.name in inputs:
            given[field.name] = inputs[field.name]
    return given


def collected(name: str, kind: Type, outputs: Mapping[str, Type]) -> str | None:
    """The output whose values an input of a reducing program takes: of its own name, or of which it is the
    plural. A signature cannot have an input and an output of one name."""
    if not isinstance(kind, ListOf):
        return None
    return next((one for one in (name, name.removesuffix("s")) if outputs.get(one) == kind.item), None)


def reduced(ensemble: Ensemble, outputs: Row, answers: Sequence[Row | None]) -> Election:
    """The reducing program's outputs as the ensemble's, with the answers that say the same."""
    own: Row = {field.name: outputs[field.name] for field in ensemble.outputs}
    agreeing = [
        place
        for place, answer in enumerate(answers)
        if answer is not None and any(name in answer for name in own) and _agree(own, answer)
    ]
    return Election(own, agreeing[0] if agreeing else None, len(agreeing))


def _agree(outputs: Row, answer: Row) -> bool:
    return all(canonical(answer[name]) == canonical(outputs[name]) for name in outputs if name in answer)


def unfed(reducer: Program, inputs: Sequence[FieldSpec], members: Sequence[Program]) -> list[str]:
    """Names of the reducer's inputs that neither all members' outputs nor the ensemble's inputs are for."""
    own = {field.name: field.type for field in inputs}
    outputs = [{field.name: field.type for field in member.outputs} for member in members]
    return [
        field.name
        for field in reducer.inputs
        if any(collected(field.name, field.type, one) is None for one in outputs)
        and own.get(field.name) != field.type
        and not field.has_default
    ]


def _most_frequent(ensemble: Ensemble, field: str, votes: Sequence[tuple[int, Row]]) -> Election:
    closed = any(spec.name == field and _is_closed(spec) for spec in ensemble.outputs)
    keys = [_comparable(answer.get(field), closed) for _, answer in votes]
    counted = Counter(key for key in keys if key is not None) or Counter(keys)
    # Of equal counts, the first that was counted: `most_common` keeps the order of arrival.
    ((winner, agreed),) = counted.most_common(1)
    place, answer = votes[keys.index(winner)]
    return Election(answer, place, agreed)


def _is_closed(spec: FieldSpec) -> bool:
    return isinstance(_needed(spec.type), OneOf)


def lacking(wanted: Sequence[FieldSpec], given: Sequence[FieldSpec]) -> list[str]:
    """Names of the fields that are not given with the type that is wanted."""
    types = {field.name: field.type for field in given}
    return [field.name for field in wanted if types.get(field.name) != field.type]


def has_mean(kind: Type) -> bool:
    """Whether values of the type have a mean of the same type."""
    return _needed(kind) == FLOAT


def _needed(kind: Type) -> Type:
    return kind.item if isinstance(kind, OptionalOf) else kind


def _comparable(value: JsonValue, closed: bool) -> str | None:
    """What two values that count as the same have in common; None for an empty one."""
    if isinstance(value, str) and not closed:
        return normalize_text(value) or None
    return None if value is None else canonical(value)


def _mean(field: str, votes: Sequence[tuple[int, Row]]) -> Election:
    numbers = [
        (place, answer, float(value))
        for place, answer in votes
        if isinstance(value := answer.get(field), int | float) and not isinstance(value, bool)
    ]
    if not numbers:
        place, answer = votes[0]
        return Election(answer, place, 1)
    mean = math.fsum(number for _, _, number in numbers) / len(numbers)
    place, answer, _ = min(numbers, key=lambda one: (abs(one[2] - mean), one[0]))
    return Election({**answer, field: mean}, place, len(numbers))
