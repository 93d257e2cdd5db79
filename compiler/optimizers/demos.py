"""Demos from rows and from traces: what every optimizer that sets demos shares.

A row becomes a demo of a predictor only if it has one of the predictor's inputs and labels at least
one of its outputs; what else of the predictor's fields the row does not have is left out of the demo.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.program import Demo, Predictor, Program, Record
from dspec.runtime.schema.types import OptionalOf, Row
from dspec.runtime.values import values

from ..data.columns import misfit
from ..evaluate.leaving_out import left_out
from .frozen import tunable
from .prompt_room import PromptRoom, same_value

if TYPE_CHECKING:
    from dspec.runtime.schema.trace import TraceStep

    from ..data.rows import Example, Rows

Streams = Callable[[str], random.Random]


def without_demos(program: Program) -> Program:
    """The program with no demos at all; instructions stay."""
    for address in program.predictors:
        program = program.with_predictor(address, demos=())
    return program


def has_demos(program: Runnable) -> bool:
    """Whether any prompt that may be changed shows demos, those chosen per input included."""
    return any(
        one.neighbours is not None or any(predictor.demos for predictor in tunable(one).values())
        for one in programs(program)
    )


def labelled(
    predictor: Predictor, example: Example, records: Mapping[str, Record] | None = None
) -> Demo | None:
    """The row as a demo of `predictor`, or None where it has nothing to show, or a value that its output may not have.

    `records` are the program's; without them values are taken as they are.
    """
    found = _fields_shown(predictor, example, records)
    return None if found is None else Demo(inputs=found[0], outputs=found[1])


def _fields_shown(
    predictor: Predictor, example: Example, records: Mapping[str, Record] | None
) -> tuple[Row, Row] | None:
    """The inputs and outputs of that demo."""
    row = example.row
    signature = predictor.signature
    outputs: Row = {
        field.name: row[field.name]
        for field in signature.outputs
        if field.name in example.labels
        and (row[field.name] is not None or isinstance(field.type, OptionalOf))
    }
    if records is not None:
        for field in signature.outputs:
            if field.name in outputs and misfit(outputs[field.name], field.type, records):
                return None
    inputs: Row = {field.name: row[field.name] for field in signature.inputs if field.name in row}
    if not outputs or (signature.inputs and not inputs):
        return None
    return inputs, outputs


def has_labels(program: Program, rows: Rows) -> bool:
    """Whether some row, of the first thousand, can show one of the program's predictors something."""
    predictors = tunable(program).values()
    first = (rows[place] for place in range(min(1000, len(rows))))  # each is made when it is looked at
    return any(_fields_shown(one, row, None) is not None for row in first for one in predictors)


class _Labelled(Sequence[Demo]):
    """Demos of which few are drawn: each is made when it is."""

    def __init__(self, shown: Sequence[tuple[Row, Row]]) -> None:
        self._shown = shown

    def __len__(self) -> int:
        return len(self._shown)

    @overload
    def __getitem__(self, place: int) -> Demo: ...
    @overload
    def __getitem__(self, place: slice) -> list[Demo]: ...
    def __getitem__(self, place: int | slice) -> Demo | list[Demo]:
        if isinstance(place, slice):
            return [Demo(inputs=inputs, outputs=outputs) for inputs, outputs in self._shown[place]]
        inputs, outputs = self._shown[place]
        return Demo(inputs=inputs, outputs=outputs)


def labels_for(
    predictor: Predictor, rows: Rows, records: Mapping[str, Record] | None = None
) -> Sequence[Demo]:
    """The rows that can show `predictor` something, as demos, in their order."""
    found = (_fields_shown(predictor, row, records) for row in rows)
    return _Labelled([one for one in found if one is not None])


def with_labels(
    program: Program, rows: Rows, k: int, rng: Streams | None, room: PromptRoom | None = None
) -> Program:
    """Every predictor's demos replaced by up to `k` labelled rows, as far as a prompt has `room` for them.

    `rng` draws them, from one stream per predictor; without it the first k are taken.
    """
    room = room or PromptRoom()
    for address, predictor in tunable(program).items():
        demos = draw(
            labels_for(predictor, rows, program.records), k, rng(f"labels/{address}") if rng else None
        )
        program = program.with_predictor(address, demos=room.fit(program, address, demos))
    return program


def draw(demos: Sequence[Demo], k: int, rng: random.Random | None) -> tuple[Demo, ...]:
    """Up to `k` of the demos: drawn in random order, or the first ones."""
    if rng is None:
        return tuple(demos[:k])
    return tuple(rng.sample(demos, min(k, len(demos))))


def hide(program: Program, example: Example) -> Program:
    """The program without the demos that show this very row, whose answer they would give away.

    A demo shows the row when it shares input fields with the row's inputs and all of them agree.
    """
    for address, predictor in program.predictors.items():
        kept = tuple(demo for demo in predictor.demos if not _shows(demo, example))
        if len(kept) < len(predictor.demos):
            changed = predictor.model_copy(update={"demos": kept})
            program = program.model_copy(update={"predictors": {**program.predictors, address: changed}})
    return left_out(program, example.inputs)


def shown_rows(program: Runnable, rows: Rows) -> int:
    """How many of the rows stand in a prompt of the program, whatever the input."""
    demos = [
        demo for one in programs(program) for predictor in one.predictors.values() for demo in predictor.demos
    ]
    return sum(any(_shows(demo, row) for demo in demos) for row in rows)


def _shows(demo: Demo, example: Example) -> bool:
    shared = demo.inputs.keys() & example.inputs.keys()
    return bool(shared) and all(same_value(demo.inputs[name], example.inputs[name]) for name in shared)


def showable(student: Program, trace: Iterable[TraceStep]) -> list[TraceStep]:
    """The calls of a run that the student's prompts may show: no answer was guessed at, and all values are of the outputs'
    types. Those of a teacher may be wider."""
    from dspec.runtime.schema.trace import learnable  # checks read this file, and no traces

    return [step for step in learnable(trace) if _is_of(student, step)]


def _is_of(student: Program, step: TraceStep) -> bool:
    for field in student.predictors[step.predictor].signature.outputs:
        if field.name in step.outputs:
            try:
                values.coerce(step.outputs[field.name], field.type, student.records)
            except ValueError:
                return False
    return True


def traced(student: Program, trace: Iterable[TraceStep], digest: str, rng: Streams) -> dict[str, Demo]:
    """One demo per predictor of an accepted trace, of the calls that are `showable`.

    Of several calls of one predictor the last is taken half of the time, else a random earlier one:
    late calls are often the most telling, and not always. The draw depends on the row alone.
    """
    calls: dict[str, list[Demo]] = {}
    for step in showable(student, trace):
        demo = Demo(inputs=step.inputs, outputs=step.outputs, augmented=True)
        calls.setdefault(step.predictor, []).append(demo)
    chosen: dict[str, Demo] = {}
    for address, demos in calls.items():
        if len(demos) == 1:
            chosen[address] = demos[0]
            continue
        draws = rng(f"trace/{address}/{digest}")
        chosen[address] = demos[-1] if draws.random() < 0.5 else draws.choice(demos[:-1])
    return chosen
