"""MIPROv2's instructions: proposals grounded in the data, the program, demos and a tip.

Algorithm: Opsahl-Ong et al., 2024 (arXiv:2406.11695), with three changes. The program is described from its
graph, once, instead of by further calls. Each proposal is shown rows of its own. And the current
instruction is candidate 0, so that it is not asked for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import Row

from ...evaluate.tasks import Halt, together
from ..frozen import tunable
from .answers import clean
from .outline import outline, role
from .proposer import Proposer
from .showing import MAX_ROWS, demos_of, rows_for, shown
from .summary import summarize, summary_batches
from .templates import fill
from .tips import TIPS

if TYPE_CHECKING:
    from ..base import Context

MAX_DEMOS = 3
"""Demos of a set that its proposal is shown."""


class Grounding(Struct, frozen=True):
    """What proposals are told. `temperature` is the prompt model's."""

    data: bool
    program: bool
    demos: bool
    tips: bool
    batch: int
    temperature: float


def summary_calls(rows: int, batch: int) -> int:
    """Calls to summarize `rows` rows: one a batch, and one that joins several."""
    batches = summary_batches(rows, min(batch, MAX_ROWS))
    return batches + (batches > 1)


class _Question(Struct, frozen=True):
    address: str
    sample: int
    inputs: dict[str, str]


async def summary_for(student: Program, context: Context, wanted: int, grounding: Grounding) -> str:
    """What proposals are told of the data: nothing where they are not shown data, or where none is asked for.

    It stands apart from `propose`, since it needs no demos and can be written while those are made. Raises halts.
    """
    if wanted < 2 or not grounding.data:
        return ""
    return await summarize(Proposer(context, student), context.train, grounding.batch)


async def propose(
    student: Program,
    context: Context,
    wanted: int,
    grounding: Grounding,
    demo_sets: Sequence[Program],
    summary: str,
) -> tuple[dict[str, tuple[str, ...]], int]:
    """Instructions of every predictor, the current one first, each one once; and how many were lost.

    `wanted` counts the current one. Lost are answers that could not be used or said what another said.
    `demo_sets` are the programs whose demos the proposals are shown, one after the other; `summary` is
    `summary_for` them. Raises halts.
    """
    proposer = Proposer(context, student)
    if wanted < 2:
        return {address: (_current(student, address),) for address in tunable(student)}, 0
    shape = outline(student) if grounding.program else ""
    questions = [
        _question(student, address, number, context, grounding, demo_sets, summary, shape)
        for address in tunable(student)
        for number in range(1, wanted)
    ]
    answers: list[str | Halt | None] = await together(
        [
            proposer.ask(
                fill("grounded", given=list(question.inputs)),
                question.inputs,
                "instruction",
                sample=question.sample,
                temperature=grounding.temperature,
            )
            for question in questions
        ]
    )
    found = {address: [_current(student, address)] for address in tunable(student)}
    lost = 0
    for question, answer in zip(questions, answers, strict=True):
        if answer is not None and not isinstance(answer, str):
            raise answer
        text = clean(answer or "")
        if text and text not in found[question.address]:
            found[question.address].append(text)
        else:
            lost += 1
    return {address: tuple(texts) for address, texts in found.items()}, lost


def _question(
    student: Program,
    address: str,
    number: int,
    context: Context,
    grounding: Grounding,
    demo_sets: Sequence[Program],
    summary: str,
    shape: str,
) -> _Question:
    draws = context.rng(f"propose/{address}/{number}")
    tip = draws.choice(TIPS)
    inputs = {
        "data_summary": summary,
        "program": shape,
        "module": role(student, address),
        "examples": _examples(student, address, number, context, grounding, demo_sets, draws),
        "current_instruction": _current(student, address),
        "tip": tip if grounding.tips else "",
    }
    return _Question(address, number, {name: text for name, text in inputs.items() if text})


def _examples(
    student: Program,
    address: str,
    number: int,
    context: Context,
    grounding: Grounding,
    demo_sets: Sequence[Program],
    draws: random.Random,
) -> str:
    predictor = student.predictors[address]
    rows = rows_for(predictor, context.train) if grounding.data else []
    drawn = draws.sample(rows, min(MAX_ROWS, len(rows)))
    taught: list[Row] = []
    if grounding.demos and demo_sets:
        # Sets without a teacher's demos are passed over, as in the original.
        order = [demo_sets[(number + offset) % len(demo_sets)] for offset in range(len(demo_sets))]
        sets = (demos_of(program.predictors[address], MAX_DEMOS) for program in order)
        taught = next((demos for demos in sets if demos), taught)
    return shown([*taught, *(row for row in drawn if row not in taught)])


def _current(student: Program, address: str) -> str:
    return student.predictors[address].signature.instruction
