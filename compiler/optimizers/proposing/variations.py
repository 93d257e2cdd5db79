"""Variations of the current text, and better ones in view of how others scored: COPRO's, and later ones of
MIPROv2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.program import Program

from ...evaluate.tasks import Halt, together
from ..texts import texts
from .proposer import Proposer
from .showing import MAX_ROWS, shown
from .subjects import Subject
from .templates import TemplateName

if TYPE_CHECKING:
    from ..base import Context


class Attempted(Struct, frozen=True):
    """A text that was tried, and its score in 0..1."""

    text: str
    score: float


class _Ask(Struct, frozen=True):
    subject: Subject
    sample: int
    template: TemplateName
    inputs: dict[str, str]


async def propose_variations(
    student: Program, context: Context, wanted: int, temperature: float
) -> dict[str, list[str]]:
    """`wanted` answers for every text that may be written, cleaned, empty ones and repeats left out. Raises halts."""
    subjects = [Subject(student, address) for address in texts(student)]
    asks = [
        _Ask(subject, number, "variation", _inputs(subject, context, f"variation/{number}"))
        for subject in subjects
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
    """Like `propose_variations`, for the addresses of `attempts`, with these shown worst first. `depth` counts the
    rounds from 1, `numbers` the answers of a round. `besides` has a `data_summary` and the `program`, where the
    model is told of them; `rows` says whether it is shown some of train."""
    asks = [
        _Ask(
            subject,
            number,
            "attempts",
            _inputs(
                subject,
                context,
                f"attempts/{depth}/{number}",
                {"attempts": _listed(attempts[subject.address])},
                besides,
                rows=rows,
            ),
        )
        for subject in (Subject(student, address) for address in attempts)
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
                ask.subject.task(ask.template, list(ask.inputs)),
                ask.inputs,
                ask.subject.output,
                sample=ask.sample,
                temperature=temperature,
            )
            for ask in asks
        ]
    )
    found: dict[str, list[str]] = {ask.subject.address: [] for ask in asks}
    for ask, answer in zip(asks, answers, strict=True):
        if answer is not None and not isinstance(answer, str):
            raise answer
        text = ask.subject.read(answer)
        if text and text not in found[ask.subject.address]:
            found[ask.subject.address].append(text)
    return found


def _inputs(
    subject: Subject,
    context: Context,
    stream: str,
    attempts: Mapping[str, str] = MappingProxyType({}),
    besides: Mapping[str, str] = MappingProxyType({}),
    *,
    rows: bool = True,
) -> dict[str, str]:
    known = subject.rows(context.train) if rows else []
    drawn = context.rng(f"{stream}/{subject.address}").sample(known, min(MAX_ROWS, len(known)))
    inputs = {
        **subject.about(),
        **attempts,
        "examples": shown(drawn),
        **besides,
        **subject.current(),
    }
    return {name: text for name, text in inputs.items() if text}


def _listed(attempts: Sequence[Attempted]) -> str:
    rising = sorted(attempts, key=lambda attempt: attempt.score)
    return "\n\n".join(f"Scored {100 * attempt.score:.1f} of 100.\n{attempt.text}" for attempt in rising)
