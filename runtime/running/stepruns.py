"""Puts together what a step gave when it ran: its value, its part of the trace, its notes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..models.protocol import Message
from ..schema.program import Predictor
from ..schema.trace import ModelCall, TraceStep
from ..schema.types import JsonValue, Row
from .asking import Asked
from .session import ProgramRun, Recording


class Last(Struct, frozen=True):
    """The exchange that a step's outputs come from, and that a failed check continues."""

    predictor: Predictor
    asked: Asked
    place: int
    """Where its entry stands in the step's trace."""


class StepRun(Struct, frozen=True):
    """What a step gave, the calls that were made for it, in order, and notes that belong to no call."""

    value: JsonValue
    trace: tuple[TraceStep, ...] = ()
    notes: tuple[str, ...] = ()
    last: Last | None = None

    @property
    def outputs(self) -> Row:
        assert isinstance(self.value, dict)
        return self.value


def with_recording(session: ProgramRun, calls: Sequence[ModelCall] = ()) -> ProgramRun:
    """The session with a recording for one run of a predictor, where runs are recorded. It goes on after `calls`."""
    if session.recording is None:
        return session
    return replace(session, recording=Recording(session.recording.origin, list(calls)))


def entry_of(recording: Recording | None, step: str, address: str, asked: Asked) -> TraceStep:
    """A predictor's part in a run, with what was recorded of it."""
    flaws = asked.flaws
    calls = () if recording is None else tuple(recording.calls)
    return TraceStep(
        step,
        address,
        asked.inputs,
        asked.outputs,
        asked.attempts if recording is None else len(calls),
        asked.notes,
        exchange=() if recording is None else _exchange(asked.messages),
        calls=calls,
        began=calls[0].began if calls else 0.0,
        seconds=0.0 if recording is None else sum(call.seconds for call in calls),
        guessed=asked.guessed,
        cut=flaws.cut,
        repaired=flaws.repaired,
        unreadable=flaws.unreadable,
    )


def _exchange(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    return tuple((message.role, message.content) for message in messages)


def as_recorded(session: ProgramRun, entry: TraceStep, messages: Sequence[Message]) -> TraceStep:
    """The entry with what was recorded of it."""
    if session.recording is None:
        return entry
    calls = tuple(session.recording.calls)
    return replace(
        entry,
        attempts=len(calls),
        exchange=_exchange(messages),
        calls=calls,
        began=calls[0].began if calls else 0.0,
        seconds=sum(call.seconds for call in calls),
    )


def remarks(
    session: ProgramRun, step: str, *notes: str, reward: float | None = None
) -> tuple[TraceStep, ...]:
    """What is said of a step besides its calls, where runs are recorded."""
    if session.recording is None:
        return ()
    began = time.perf_counter() - session.recording.origin
    return (TraceStep(step, "", {}, {}, 0, notes, began=began, reward=reward),)


def as_dropped(trace: Sequence[TraceStep]) -> tuple[TraceStep, ...]:
    """The entries, as those of what the outputs do not come from."""
    return tuple(replace(entry, dropped=True) for entry in trace)


def joined(value: JsonValue, ran: Sequence[StepRun]) -> StepRun:
    """A value, with the trace and the notes of all that ran for it."""
    trace = tuple(entry for one in ran for entry in one.trace)
    return StepRun(value, trace, tuple(note for one in ran for note in one.notes))


def with_answer(session: ProgramRun, ran: StepRun, asked: Asked) -> StepRun:
    """What ran, with a later answer in place of its last."""
    last = ran.last
    assert last is not None
    entry = ran.trace[last.place]
    entries = list(ran.trace)
    entries[last.place] = entry_of(session.recording, entry.step, entry.predictor, asked)
    kept = ran.outputs.keys()
    outputs = {name: value for name, value in asked.outputs.items() if name in kept}
    return StepRun({**ran.outputs, **outputs}, tuple(entries), ran.notes, replace(last, asked=asked))


def done_again(earlier: StepRun, later: StepRun) -> StepRun:
    """A step that was done again. Its first call of a model also counts the attempts of the time before."""
    before = sum(entry.attempts for entry in earlier.trace)
    place = next((place for place, entry in enumerate(later.trace) if entry.predictor), None)
    if place is None:  # another branch was chosen, or there was nothing to walk through
        return later
    entries = list(later.trace)
    entries[place] = replace(entries[place], attempts=entries[place].attempts + before)
    return replace(later, trace=tuple(entries))
