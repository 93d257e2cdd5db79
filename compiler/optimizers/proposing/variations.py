"""Variations of the current instruction, and better ones in view of how others scored: COPRO's, and later ones of
MIPROv2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.program import Program

from ...evaluate.tasks import Halt, together
from ..frozen import tunable
from .answers import clean
from .outline import role
from .proposer import Proposer
from .showing import MAX_ROWS, rows_for, shown
from .templates import TemplateName, fill

if TYPE_CHECKING:
    from ..base import Context


class Attempted(Struct, frozen=True):
    """An instruction that was tried, and its score in 0..1."""

    instruction: str
    score: float


class _Ask(Struct, frozen=True):
    address: str
    sample: int
    template: TemplateName
    inputs: dict[str, str]


async def propose_variations(
    student: Program, context: Context, wanted: int, temperature: float
) -> dict[str, list[str]]:
    """`wanted` answers for every predictor, cleaned, empty ones and repeats left out. Raises halts."""
    asks = [
        _Ask(address, number, "variation", _inputs(student, address, context, f"variation/{number}"))
        for address in tunable(student)
        for number in range(1, wanted + 1)
    ]
    return await _answers(student, context, asks, temperature)


async def propose_from_attempts(
    student: Program,
    context: Context,
    numbers: range,
    temperature: float,
    attempts: Mapping[str, Sequence[Attempted]],
    depth: int,
    *,
    besides: Mapping[str, str] = MappingProxyType({}),
    rows: bool = True,
) -> dict[str, list[str]]:
    """Like `propose_variations`, for the predictors of `attempts`, with these shown worst first. `depth` counts the
    rounds from 1, `numbers` the answers of a round. `besides` has a `data_summary` and the `program`, where the
    model is told of them; `rows` says whether it is shown some of train."""
    asks = [
        _Ask(
            address,
            number,
            "attempts",
            _inputs(
                student,
                address,
                context,
                f"attempts/{depth}/{number}",
                {"attempts": _listed(attempts[address])},
                besides,
                rows=rows,
            ),
        )
        for address in attempts
        for number in numbers
    ]
    return await _answers(student, context, asks, temperature)


async def _answers(
    student: Program, context: Context, asks: Sequence[_Ask], temperature: float
) -> dict[str, list[str]]:
    proposer = Proposer(context, student)
    answers: list[str | Halt | None] = await together(
        [
            proposer.ask(
                fill(ask.template, given=list(ask.inputs)),
                ask.inputs,
                "instruction",
                sample=ask.sample,
                temperature=temperature,
            )
            for ask in asks
        ]
    )
    found: dict[str, list[str]] = {address: [] for address in tunable(student)}
    for ask, answer in zip(asks, answers, strict=True):
        if answer is not None and not isinstance(answer, str):
            raise answer
        text = clean(answer or "")
        if text and text not in found[ask.address]:
            found[ask.address].append(text)
    return found


def _inputs(
    student: Program,
    address: str,
    context: Context,
    stream: str,
    attempts: Mapping[str, str] = MappingProxyType({}),
    besides: Mapping[str, str] = MappingProxyType({}),
    *,
    rows: bool = True,
) -> dict[str, str]:
    predictor = student.predictors[address]
    known = rows_for(predictor, context.train) if rows else []
    drawn = context.rng(f"{stream}/{address}").sample(known, min(MAX_ROWS, len(known)))
    inputs = {
        "module": role(student, address),
        **attempts,
        "examples": shown(drawn),
        **besides,
        "current_instruction": predictor.signature.instruction,
    }
    return {name: text for name, text in inputs.items() if text}


def _listed(attempts: Sequence[Attempted]) -> str:
    rising = sorted(attempts, key=lambda attempt: attempt.score)
    return "\n\n".join(
        f"Scored {100 * attempt.score:.1f} of 100.\n{attempt.instruction}" for attempt in rising
    )
