"""Demos as DSPy draws them: labelled rows, and bootstrapped demos filled up with labelled rows.

Facts of DSPy 3.4.1 (`LabeledFewShot`, `BootstrapFewShot`): one generator seeded with 0 serves all predictors,
in their order; rows are drawn whole, whether or not they can show a predictor something; a row is hidden from
the teacher's demos where it equals one of them in every field.

A row that raises the teacher's error does not stay hidden from the rows after it, as it does in DSPy, where
the demos are not put back.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dspec.runtime.schema.ensemble import Runnable, each
from dspec.runtime.schema.program import Demo, Predictor, Program
from dspec.runtime.schema.types import OptionalOf

from ...evaluate.tasks import Halt
from ..base import Context, OptimizerError, Options
from ..bootstrap_few_shot import MAX_ERRORS, Accepted, in_order
from ..demos import traced
from ..frozen import tunable
from ..teachers import matched

if TYPE_CHECKING:
    from ...data.rows import Example, Rows


def as_demo(predictor: Predictor, example: Example) -> Demo:
    """The row as a demo of the predictor's fields. It may show nothing, and a prompt leaves it out then.

    A row without a label has null there. To DSPy such a row lacks the field; null is an answer only where the output
    may be null.
    """
    row, signature = example.row, predictor.signature
    return Demo(
        inputs={field.name: row[field.name] for field in signature.inputs if field.name in row},
        outputs={
            field.name: row[field.name]
            for field in signature.outputs
            if field.name in row and (row[field.name] is not None or isinstance(field.type, OptionalOf))
        },
    )


def labeled(program: Program, rows: Rows, k: int, *, sample: bool = True) -> Program:
    """Every predictor's demos replaced by `k` rows: drawn, or the first ones."""
    draws = random.Random(0)  # noqa: S311 - DSPy's seed
    count = min(k, len(rows))
    for address, predictor in tunable(program).items():
        chosen = draws.sample(rows, count) if sample else rows[:count]
        program = program.with_predictor(address, demos=tuple(as_demo(predictor, row) for row in chosen))
    return program


def teacher_of(student: Program, rows: Rows, labels: int, context: Context) -> Runnable:
    """The teacher, or the student where there is none, with labelled demos in place of its own.

    A teacher that was bootstrapped itself keeps its demos. DSPy tells by a mark, which saving loses; here its demos
    tell. Raises OptimizerError when its predictors are not the student's.
    """
    if context.teacher is None:
        return labeled(student, rows, labels) if labels else student
    teacher = matched(student, context.teacher)
    if not labels:
        return teacher
    return each(teacher, lambda one: one if _bootstrapped(one) else labeled(one, rows, labels))


def _bootstrapped(program: Program) -> bool:
    return any(demo.augmented for predictor in program.predictors.values() for demo in predictor.demos)


async def bootstrapped(
    student: Program, rows: Rows, options: Options, context: Context, *, demos: int, labels: int
) -> tuple[Program, Halt | None]:
    """The student with up to `demos` bootstrapped demos a predictor, filled up to `labels` with rows.

    A halt comes back beside what was made until then.
    """
    attempts = _Attempts(student, teacher_of(student, rows, labels, context), options, context)
    accepted, halt = await in_order(rows, demos, attempts.row)
    return assembled(student, accepted, rows, demos=demos, labels=labels), halt


def assembled(student: Program, accepted: list[Accepted], rows: Rows, *, demos: int, labels: int) -> Program:
    """Each predictor's bootstrapped demos, then a sample of the rows that were not bootstrapped."""
    taken = {id(one.example) for one in accepted}
    rest = [row for row in rows if id(row) not in taken]
    random.Random(0).shuffle(rest)  # noqa: S311 - DSPy's seed
    draws = random.Random(0)  # noqa: S311
    for address, predictor in tunable(student).items():
        made = [one.demos[address] for one in accepted if address in one.demos][:demos]
        room = max(0, min(labels - len(made), len(rest)))
        filling = [as_demo(predictor, row) for row in draws.sample(rest, room)]
        student = student.with_predictor(address, demos=(*made, *filling))
    return student


class _Attempts:
    """The teacher's attempts at rows, and the failures among them: answers or metrics that broke."""

    def __init__(self, student: Program, teacher: Runnable, options: Options, context: Context) -> None:
        self._student = student
        self._teacher = teacher
        self._context = context
        self._rounds = options.integer("max_rounds")
        # To DSPy a threshold of 0 is none.
        self._threshold = options.number("metric_threshold") or None
        self._max_errors = options.integer("max_errors") if options["max_errors"] else MAX_ERRORS
        self._errors = 0

    async def row(self, example: Example) -> Accepted | None:
        program = each(self._teacher, lambda one: _without(one, example))
        for number in range(self._rounds):
            attempt = await self._context.evaluator.attempt(
                program, example, sample=number, temperature=1.0 if number else None
            )
            if attempt.passes(self._threshold):
                demos = traced(self._student, attempt.trace, example.digest, self._context.rng)
                if demos or not attempt.trace:
                    return Accepted(example, demos)
            if attempt.metric_failed:
                self._context.metric_failed.setdefault(example.index, attempt.reason or "no reason was given")
            if attempt.verdict is None:
                self._failed(attempt.reason or "the teacher gave no answer")
        return None

    def _failed(self, reason: str) -> None:
        self._errors += 1
        if self._errors >= self._max_errors:
            raise OptimizerError(
                f"bootstrapping failed: {reason}",
                help=f"the step stops after {self._errors} such attempts (`max_errors`)",
            )


def _without(program: Program, example: Example) -> Program:
    """The program without the demos that are this row."""
    for address, predictor in program.predictors.items():
        row = as_demo(predictor, example)
        kept = tuple(demo for demo in predictor.demos if demo != row)
        if len(kept) < len(predictor.demos):
            program = program.with_predictor(address, demos=kept)
    return program
