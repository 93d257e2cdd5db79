"""Running a program or an ensemble on one row's inputs: the one way in."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from msgspec import Struct

from ..errors import AnswerError, DspecError, EvaluationError
from ..models.protocol import Message, Request
from ..schema.ensemble import Ensemble, Runnable
from ..schema.program import LM
from ..schema.trace import TraceStep
from ..schema.types import JsonValue, Row
from ..schema.usage import Spent
from ..values.interpret import SharedWork
from .election import ballot, drawn, elect, reduced
from .fitting import check_inputs
from .graph import run_graph
from .metered import Asks, Meter
from .neighbours import with_nearest_demos
from .session import ProgramRun, Recording
from .streaming import Tell, Voice
from .vectors import read_vector


class Outcome(Struct, frozen=True):
    """What a run gave; the trace holds the calls in the steps' written order."""

    outputs: Row
    trace: tuple[TraceStep, ...]
    used: Spent = Spent()
    """What all answers took that the run used, whoever gave them."""
    paid: Spent = Spent()
    """What those of them took that a model gave just now."""
    notes: tuple[str, ...] = ()
    """Unmet suggestions that belong to no call; those of a call stand in the trace."""

    @property
    def calls(self) -> int:
        """Model answers that the run used."""
        return self.used.calls


async def run(
    program: Runnable,
    inputs: Row,
    engine: Asks,
    *,
    sample: int = 0,
    temperature: float | None = None,
    record: bool = False,
    tell: Tell | None = None,
) -> Outcome:
    """One run of the program. `sample` tells repeats apart; `temperature` overrides every model's.
    `record` keeps prompts, answers, costs and times in the trace. `tell` is told what is answered while it is; an
    ensemble's outputs at their end.

    The trace of an ensemble's run is that of the member whose answer was elected; empty where a program
    reduces and says what no member said. A recorded one ends with how the vote went.

    Raises InputError for inputs that the program does not take, AnswerError when a model's answers
    cannot be used, ProviderError when a model does not answer.
    """
    with SharedWork():
        if tell is None:
            return await _run(program, inputs, engine, sample, temperature, record)
        voice = Voice(None if isinstance(program, Ensemble) else program, tell)
        try:
            outcome = await _run(program, inputs, engine, sample, temperature, record, voice)
        except DspecError as error:
            voice.fail(error.message)
            raise
        voice.finish(outcome.outputs)
        return outcome


async def _run(
    program: Runnable,
    inputs: Row,
    engine: Asks,
    sample: int,
    temperature: float | None,
    record: bool,
    voice: Voice | None = None,
) -> Outcome:
    scope: dict[str, JsonValue] = dict(check_inputs(program, inputs))
    if isinstance(program, Ensemble):
        return await _vote(program, scope, engine, sample, temperature, record)
    meter = Meter(engine)
    program = await with_nearest_demos(program, scope, partial(_embedding, meter))
    ran = await run_graph(
        ProgramRun(
            program,
            meter,
            sample,
            temperature,
            Recording(time.perf_counter(), []) if record else None,
            voice=voice,
        ),
        program,
        scope,
    )
    return Outcome(ran.outputs, ran.trace, meter.used, meter.paid, ran.notes)


async def _embedding(engine: Asks, lm: LM, text: str) -> list[float]:
    """A text's embedding: a call like any other, but without a fallback, since another model's vectors are not
    comparable."""
    completion = await engine.complete(Request(lm, (Message("user", text),), kind="embedding"))
    return read_vector(completion.answer.text)


async def _vote(
    ensemble: Ensemble, inputs: Row, engine: Asks, sample: int, temperature: float | None, record: bool
) -> Outcome:
    """The members' answers, all asked for at the same time, made into one."""
    counted = Meter(engine)  # it also counts members without a usable answer
    tasks = [
        asyncio.create_task(
            run(
                ensemble.members[place],
                inputs,
                counted,
                sample=sample,
                temperature=temperature,
                record=record,
            )
        )
        for place in drawn(ensemble, inputs)
    ]
    outcomes: list[Outcome | None] = []
    unusable: list[AnswerError | EvaluationError] = []
    try:
        for task in tasks:
            try:
                outcomes.append(await task)
            except (AnswerError, EvaluationError) as error:
                outcomes.append(None)
                unusable.append(error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answers = [None if outcome is None else outcome.outputs for outcome in outcomes]
    if ensemble.reducer is None:
        election = elect(ensemble, answers)
    else:
        given = ballot(ensemble, inputs, answers)
        made = None
        if given is not None:
            made = await run(
                ensemble.reducer,
                given,
                counted,
                sample=sample,
                temperature=temperature,
                record=record,
            )
        election = None if made is None else reduced(ensemble, made.outputs, answers)
    if election is None:
        raise unusable[0]
    elected = None if election.elected is None else outcomes[election.elected]
    notes = (*(elected.notes if elected else ()), f"{election.agreed} of {len(tasks)} members agreed")
    if unusable:
        notes = (*notes, f"{len(unusable)} had no usable answer: {unusable[0].message}")
    trace = elected.trace if elected else ()
    if record:
        said = notes[len(elected.notes) if elected else 0 :]
        trace = (*trace, TraceStep(ensemble.name, "", {}, {}, 0, said))
    return Outcome(election.outputs, trace, counted.used, counted.paid, notes)
