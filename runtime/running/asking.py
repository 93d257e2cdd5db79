"""One run of a predictor: render, ask, read, and go back to the model where the answer calls for it.

What can be mended in the text is mended there, without a call. What is still missing, wrong or cut off is asked
for once more, that part only. A failed check goes back with its message, as often as the signature
allows. Every further request holds the whole exchange so far, so no two of them are the same and
a replayed answer can never stand in for a retry.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ..adapters import Adapter, Reading, adapter_of, extraction, partial_answer
from ..adapters.base import describe_problems
from ..adapters.turns import history
from ..errors import (
    CheckFailed,
    ConfigurationError,
    NotSet,
    ParseError,
    PromptTooLong,
    ProviderError,
    Refused,
    Unauthorized,
)
from ..models.prices import at_rate, context_window, native, price
from ..models.protocol import Answer, Message, Request, ToolShape, keys_after
from ..models.transports.answers import estimate_tokens
from ..schema.identity import Same
from ..schema.lms import LM
from ..schema.program import Demo, Predictor, Program, Record
from ..schema.types import Row
from ..schema.usage import Flaws, Usage
from ..values.checks import Failure, failures, record_failures
from .session import ProgramRun
from .thinking import as_asked, thought_in

_EMPTY = "(no answer)"
"""Stands for an empty answer in the exchange: providers refuse empty turns."""
_TOO_LONG = "was cut off at `max_tokens`"
_CUT = {
    "length": _TOO_LONG,
    "max_tokens": _TOO_LONG,
    "max_output_tokens": _TOO_LONG,
    "model_length": _TOO_LONG,
    "model_context_window_exceeded": "was cut off at the end of the context window",
    "content_filter": "was cut off by the provider's filter",
}
"""Why a model was stopped in its answer, by the servers' names for it. With any other reason it ended by itself."""


class Asked(Struct, frozen=True):
    """A predictor's outputs with the exchange that led to them.

    `messages` end with the answer as it stands, so a further objection can follow.
    """

    inputs: Row
    outputs: Row
    messages: tuple[Message, ...]
    attempts: int
    """Model calls made."""
    notes: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    """Outputs whose values might have meant something else as well."""
    flaws: Flaws = Flaws()
    """What was wrong with the answers so far."""


class _Said(NamedTuple):
    """A model's answer, and what it was asked."""

    answer: Answer
    request: Request


async def ask(session: ProgramRun, predictor: Predictor, inputs: Row) -> Asked:
    """One run of a predictor on checked inputs.

    Raises ParseError when an output stays unreadable, CheckFailed when an `assert` stays broken,
    ProviderError when the model does not answer.
    """
    manner = _manner(session, predictor)
    messages = manner.layout.render(manner.told, inputs, session.program.records)
    asked = await _answered(session, predictor, Asked(inputs, {}, messages, 0))
    return await _checked(session, predictor, asked)


class KeptAsking:
    """Runs of one predictor on kept answers alone, as `ask` does them, without waiting for anything: what all of its prompts
    have in common is made once.

    Raises ConfigurationError as `ask` does where the program lacks its model, or the model its address.
    """

    def __init__(
        self, program: Program, predictor: Predictor, lm: LM, sample: int, temperature: float | None
    ) -> None:
        self._manner = manner = _manner_of(Same(lm), Same(predictor), False)
        self._predictor, self._records = predictor, program.records
        self._frame = manner.layout.frame(manner.told, program.records)
        self._key = keys_after(
            Request(
                lm=lm,
                messages=self._frame.before,
                sample=sample,
                temperature=temperature,
                response_format=manner.layout.response_format(manner.told, program.records, lm),
                reasoning=manner.told is not predictor,
            )
        )
        self._checked = bool(predictor.signature.checks) or any(
            one.checks for one in program.records.values()
        )

        self._price = price(lm)

    def priced(self, answer: Answer) -> Answer:
        """A kept answer with what it would cost today."""
        return at_rate(answer, self._price)

    def question(self, inputs: Row) -> Message:
        """The last message of the prompt."""
        return self._manner.layout.question(self._frame, inputs)

    def key(self, question: Message) -> bytes:
        """What the ledger knows the answer by."""
        return self._key(question)

    def read(self, inputs: Row, question: Message, answer: Answer) -> Asked | None:
        """The answer, read. None where it is not the last word: the model would be asked again, or some check does not hold."""
        manner, signature = self._manner, self._predictor.signature
        reading = _read(manner, answer, self._records)
        if reading.problems:
            return None
        notes = [*reading.notes, *_remarks(answer, reading)]
        outputs = _with_thought(self._predictor, manner, reading.values, answer.reasoning, notes)
        if self._checked and (
            record_failures(signature.outputs, outputs, self._records)
            or failures(signature.checks, {**inputs, **outputs})
        ):
            return None
        said = Message("assistant", answer.text.strip() or _EMPTY)
        messages = (*self._frame.before, question, said)
        return Asked(inputs, outputs, messages, 1, tuple(notes), reading.guessed, _flaws(reading))


def kept_asking(program: Program, predictor: Predictor) -> LM | None:
    """The model that `KeptAsking` may have a predictor ask; None where a run is more than a prompt and its answer."""
    lm = predictor.asks(program.lms)
    plain = lm is not None and not lm.two_step and history(predictor.signature) is None
    return lm if plain else None


def exchange(program: Program, address: str, inputs: Row, outputs: Row) -> tuple[Message, ...]:
    """What a predictor's model is sent for these inputs, to the byte, and the answer that would be read as these outputs.

    Raises ConfigurationError for a model that answers in two steps: of its own words nothing is known.
    """
    predictor = program.predictors[address]
    lm = predictor.asks(program.lms)
    assert lm is not None  # programs that are checked have their models
    if lm.two_step:
        raise ConfigurationError(
            f"`{lm.name}` answers in two steps, so what it is to say is not known",
            help="give it a layout: `adapter` in its lm",
        )
    manner = _manner_of(Same(lm), Same(predictor), False)
    messages = manner.layout.render(manner.told, inputs, program.records)
    answer = manner.layout.answer(Demo(inputs={}, outputs=outputs), manner.told.signature.outputs)
    return (*messages, Message("assistant", answer.strip()))


def fits(session: ProgramRun, predictor: Predictor, inputs: Row) -> bool:
    """Whether the prompt for checked inputs is no longer than what the model is known to take; True where nobody
    knows. Tokens are estimated."""
    manner = _manner(session, predictor)
    window = context_window(manner.lm)
    if window is None:
        return True
    messages = manner.layout.render(manner.told, inputs, session.program.records)
    return estimate_tokens(messages) + (manner.lm.max_tokens or 0) <= window


async def ask_again(
    session: ProgramRun, predictor: Predictor, asked: Asked, messages: Sequence[str]
) -> Asked:
    """The predictor run once more, told what is wrong with its last outputs."""
    manner = _manner(session, predictor)
    objection = manner.layout.objection(manner.told, messages)
    asked = replace(asked, messages=(*asked.messages, objection))
    return await _checked(session, predictor, await _answered(session, predictor, asked))


async def _checked(session: ProgramRun, predictor: Predictor, asked: Asked) -> Asked:
    """The answer, asked for again until the signature's and the records' checks hold or no retry is left."""
    signature = predictor.signature
    retries = signature.max_retries
    while True:
        scope = {**asked.inputs, **asked.outputs}
        broken = [
            *record_failures(signature.outputs, asked.outputs, session.program.records),
            *failures(signature.checks, scope),
        ]
        if not broken:
            return asked
        if retries == 0:
            return replace(asked, notes=(*asked.notes, *given_up(broken, signature.name, asked)))
        retries -= 1
        if session.speaking is not None:
            session.speaking.withdraw(_noted(broken)[0])
        manner = _manner(session, predictor)
        objection = manner.layout.objection(manner.told, _messages(broken))
        asked = replace(asked, messages=(*asked.messages, objection), notes=(*asked.notes, *_noted(broken)))
        asked = await _answered(session, predictor, asked)


def given_up(broken: Sequence[Failure], name: str, asked: Asked) -> tuple[str, ...]:
    """Notes on suggestions that stay unmet. Raises CheckFailed when one of the checks is an `assert`."""
    for failure in broken:
        if failure.kind == "assert":
            error = CheckFailed(f"{name}: {failure.message}", raw=asked.messages[-1].content)
            error.flaws = asked.flaws
            raise error
    return tuple(f"suggest not met: {failure.message}" for failure in broken)


def _messages(broken: Sequence[Failure]) -> list[str]:
    return list(dict.fromkeys(failure.message for failure in broken))


def _noted(broken: Sequence[Failure]) -> list[str]:
    return [f"asked again: {message}" for message in _messages(broken)]


async def _answered(session: ProgramRun, predictor: Predictor, asked: Asked) -> Asked:
    """The next answer, read. Raises ParseError."""
    found = await _next(session, predictor, asked)
    if isinstance(found, _Unread):
        raise found.error
    return found


class _Unread(NamedTuple):
    """An answer that stayed unreadable, whose it was, and how many calls that took."""

    error: ParseError
    by: str
    calls: int


async def _next(session: ProgramRun, predictor: Predictor, asked: Asked) -> Asked | _Unread:
    """The next answer; of a fallback where nobody could read what a model answered, and its `on_unreadable` says so."""
    lm = _model(session, predictor)
    names = [predictor.lm, *lm.fallback]
    unread: _Unread | None = None
    before = asked.attempts
    while True:
        try:
            found = await _answered_by(session, predictor, names, asked)
        except NotSet:
            if unread is None:
                raise
            return unread
        if not isinstance(found, _Unread):
            return found
        unread = found._replace(calls=asked.attempts - before + found.calls)
        # Whoever was asked last has had its say: no model is asked the same again.
        names = names[names.index(found.by) + 1 :] if lm.on_unreadable == "fallback" else []
        if not names:
            return unread
        note = (
            f"what {found.by} answered could not be read, even when it was asked again: {names[0]} is asked"
        )
        asked = replace(
            asked,
            attempts=before + unread.calls,
            notes=(*asked.notes, note),
            flaws=found.error.flaws or asked.flaws,
        )


async def _answered_by(
    session: ProgramRun, predictor: Predictor, names: Sequence[str], asked: Asked
) -> Asked | _Unread:
    """The next answer, of the first of these models that gives one; with one further call for what could not be read."""
    manner = _manner(session, predictor)
    if manner.lm.two_step and not session.extracting:
        return await _in_two_steps(session, predictor, names, asked)
    layout, told, signature = manner.layout, manner.told, predictor.signature
    (answer, request), notes = await _complete(session, predictor, manner, names, asked.messages)
    reading = _read(manner, answer, session.program.records)
    notes, attempts = [*asked.notes, *notes, *reading.notes, *_remarks(answer, reading)], asked.attempts + 1
    flaws = asked.flaws + _flaws(reading)
    thought = answer.reasoning
    messages = (*asked.messages, Message("assistant", answer.text.strip() or _EMPTY))
    if not reading.problems:
        values = _with_thought(predictor, manner, reading.values, thought, notes)
        return Asked(asked.inputs, values, messages, attempts, tuple(notes), reading.guessed, flaws)

    notes.append(f"asked again: {describe_problems(reading.problems)}")
    if session.speaking is not None:
        session.speaking.withdraw(notes[-1])
    correction = layout.correction(told, reading.problems)
    # What it says is put together with the first answer, and told once that is done.
    (answer, corrected), more = await _complete(
        session.quiet, predictor, manner, names, (*messages, correction)
    )
    wanted = {problem.field for problem in reading.problems}
    second = _read(manner, answer, session.program.records, only=wanted)
    flaws += _flaws(second)
    again = layout.said_again(
        told,
        answer.text,
        session.program.records,
        asked_for=wanted,
        strict=manner.lm.parse == "strict",
        cut=_cut_by(answer),
    )
    problems = (*second.problems, *(again.problems if session.together else ()))
    if problems:
        for unusable in (request, corrected):
            session.engine.unusable(unusable)
        error = ParseError(
            f"{signature.name}: {describe_problems(problems)}",
            raw=answer.text,
            help="raise `max_tokens`: the answer was cut off" if second.cut and _too_long(answer) else "",
        )
        error.flaws = flaws
        return _Unread(error, corrected.lm.name, 2)
    otherwise = _otherwise(reading.values, again.values)
    replaced = again.values if otherwise else {}
    values = reading.values | replaced | second.values
    values = {output.name: values[output.name] for output in told.signature.outputs}
    # From here on the exchange shows the answer as it was put together.
    merged = layout.answer(Demo(inputs={}, outputs=values), told.signature.outputs)
    messages = (*messages, correction, Message("assistant", merged))
    notes += (*more, *second.notes, *_remarks(answer, second))
    if otherwise:
        notes.append(f"{', '.join(otherwise)}: the new answer says it otherwise, and counts")
    notes += (
        f"{one.field}: said again, but {one.message}; the first answer counts" for one in again.problems
    )
    guessed = (*(name for name in reading.guessed if name not in replaced), *second.guessed)
    values = _with_thought(predictor, manner, values, thought or answer.reasoning, notes)
    return Asked(asked.inputs, values, messages, attempts + 1, tuple(notes), guessed, flaws)


def _with_thought(predictor: Predictor, manner: _Manner, values: Row, thought: str, notes: list[str]) -> Row:
    """The outputs with the model's own reasoning, where that is one of them."""
    if not manner.thought:
        return values
    if not thought:
        notes.append(f"{manner.thought}: the model did not tell what it thought")
    given = {**values, manner.thought: thought}
    return {output.name: given[output.name] for output in predictor.signature.outputs}


async def _in_two_steps(
    session: ProgramRun, predictor: Predictor, names: Sequence[str], asked: Asked
) -> Asked | _Unread:
    """The next answer in the model's own words, and the outputs that a second call takes from it. What that one gives and
    nobody can read is asked of it again, and not of the first. The exchange is the first one's: an objection is about
    what was said."""
    manner = _manner(session, predictor)
    (answer, request), notes = await _complete(session, predictor, manner, names, asked.messages)
    said = answer.text.strip() or _EMPTY
    cut = _cut_by(answer)
    flaws = asked.flaws + Flaws(cut=1 if cut else 0)
    reader = extraction(manner.told, manner.lm.extract or predictor.lm)
    inputs: Row = {reader.signature.inputs[0].name: said}
    reading = replace(session, extracting=True, calling=None, speaking=None)
    messages = _manner(reading, reader).layout.render(reader, inputs, session.program.records)
    found = await _next(reading, reader, Asked(inputs, {}, messages, 0))
    if isinstance(found, _Unread):
        session.engine.unusable(request)
        error = found.error
        error.flaws = flaws + (error.flaws or Flaws())
        if cut == _TOO_LONG:
            error.help = error.help or "raise `max_tokens`: the answer was cut off"
        return _Unread(error, request.lm.name, 1 + found.calls)
    notes = [*asked.notes, *notes, *((f"the answer {cut}",) if cut else ()), *found.notes]
    outputs = _with_thought(predictor, manner, found.outputs, answer.reasoning, notes)
    return Asked(
        asked.inputs,
        outputs,
        (*asked.messages, Message("assistant", said)),
        asked.attempts + 1 + found.attempts,
        tuple(notes),
        found.guessed,
        flaws + found.flaws,
    )


def _read(
    manner: _Manner,
    answer: Answer,
    records: Mapping[str, Record],
    *,
    only: Collection[str] | None = None,
) -> Reading:
    return manner.layout.read(
        manner.told,
        answer.text,
        records,
        strict=manner.lm.parse == "strict",
        only=only,
        again=only is not None,
        cut=_cut_by(answer),
    )


def _cut_by(answer: Answer) -> str:
    """Why the model was stopped in its answer; "" where it ended by itself."""
    return _CUT.get(answer.finish_reason.lower(), "")


def _otherwise(first: Row, again: Row) -> list[str]:
    """The outputs that a new answer has another value for. An empty text is none: a model that calls a tool need say
    nothing besides."""
    return [name for name, value in again.items() if value not in ("", first.get(name))]


def _flaws(reading: Reading) -> Flaws:
    """The worst that is wrong with one answer."""
    if reading.cut:
        return Flaws(cut=1)
    if reading.problems:
        return Flaws(unreadable=1)
    return Flaws(repaired=1) if reading.guessed else Flaws()


def _remarks(answer: Answer, reading: Reading) -> tuple[str, ...]:
    several = f"the model called {len(answer.calls)} tools at once, and the first counts"
    return (*_cut_note(answer, reading), *((several,) if len(answer.calls) > 1 else ()))


def _cut_note(answer: Answer, reading: Reading) -> tuple[str, ...]:
    return (f"the answer {_CUT[answer.finish_reason.lower()]}",) if reading.cut else ()


def _too_long(answer: Answer) -> bool:
    return _CUT.get(answer.finish_reason.lower()) == _TOO_LONG


async def _complete(
    session: ProgramRun,
    predictor: Predictor,
    manner: _Manner,
    names: Sequence[str],
    messages: tuple[Message, ...],
) -> tuple[_Said, tuple[str, ...]]:
    """The answer of the first of these models that neither fails for good nor lacks its key, with notes.

    Where every model lacks what it needs to be asked, the error says what the first one needs.
    """
    notes: tuple[str, ...] = ()
    needs: list[NotSet] = []
    failure: ProviderError | None = None
    for place, name in enumerate(names):
        try:
            lm = manner.lm if name == predictor.lm else _model(session, predictor, name)
            return await _answer(session, predictor, manner, lm, messages), notes
        except Unauthorized:
            raise  # somebody must see to a key or a bill: a fallback would hide that and answer every row
        except NotSet as error:
            needs.append(error)
            why = f": {error.message}"
        except ProviderError as error:
            failure, why = error, ""
        notes = tuple(f"fell back to {other}{why}" for other in names[place + 1 : place + 2])
    raise needs[0] if failure is None else failure


async def _answer(
    session: ProgramRun, predictor: Predictor, manner: _Manner, lm: LM, messages: tuple[Message, ...]
) -> _Said:
    """The answer of one model. A call of a tool is written out as the text that stands for it, so that reading,
    corrections, traces and demos know one form of an answer."""
    calling = session.calling
    if calling is None or calling.refused or not native(lm):
        return await _told(session, predictor, manner, lm, messages)
    try:
        said = await _told(session, predictor, manner, lm, messages, calling.tools)
    except PromptTooLong:
        raise
    except Refused:
        # Whatever was refused, every model takes a request without tools.
        said = await _told(session, predictor, manner, lm, messages)
        calling.refused = True
        return said
    answer = said.answer
    if not answer.calls:
        return said
    layout, signature = manner.layout, predictor.signature
    first = layout.read(predictor, answer.text, session.program.records, only={signature.outputs[0].name})
    outputs = calling.outputs(first.values, answer.calls[0])
    text = layout.answer(Demo(inputs={}, outputs=outputs), signature.outputs)
    return said._replace(answer=replace(answer, text=text))


async def _told(
    session: ProgramRun,
    predictor: Predictor,
    manner: _Manner,
    lm: LM,
    messages: tuple[Message, ...],
    tools: tuple[ToolShape, ...] = (),
) -> _Said:
    records = session.program.records
    layout, asked = manner.layout, manner.told
    began = time.perf_counter()
    if session.recording is not None:
        session.recording.said = messages
    request = Request(
        lm=lm,
        messages=messages,
        sample=session.sample,
        temperature=session.temperature,
        # Providers take either a form for the answer or tools.
        response_format=None if tools else layout.response_format(asked, records, lm),
        form=None if tools else layout.form(asked, records),
        tools=tools,
        reasoning=asked is not predictor,
        heard=None
        if session.speaking is None or tools
        else session.speaking.listening(partial(partial_answer, manner.lm, asked, records)),
    )
    try:
        completion = await session.engine.complete(request)
    except ProviderError as error:
        if session.recording is not None:
            usage, cost = error.usage or Usage(), None if error.billable else 0.0
            session.recording.keep(lm, Answer("", usage, cost, ""), "model", began, error.message)
        raise
    answer = completion.answer
    if session.recording is not None:
        session.recording.keep(lm, answer, completion.source, began)
    return _Said(answer, request)


class _Manner(NamedTuple):
    """How a predictor asks: its model, the layout of the prompts, the predictor as these show it, without what the model
    thinks by itself, and the name of the output that is that; "" where none is."""

    lm: LM
    layout: Adapter
    told: Predictor
    thought: str


def _manner(session: ProgramRun, predictor: Predictor) -> _Manner:
    return _manner_of(Same(_model(session, predictor)), Same(predictor), session.extracting)


@lru_cache(maxsize=256)
def _manner_of(lm: Same[LM], predictor: Same[Predictor], extracting: bool) -> _Manner:
    layout = adapter_of(lm.value, extracting=extracting)
    if extracting:
        return _Manner(lm.value, layout, predictor.value, "")
    told = as_asked(predictor.value, lm.value)
    return _Manner(lm.value, layout, told, thought_in(predictor.value, lm.value))


def _model(session: ProgramRun, predictor: Predictor, name: str | None = None) -> LM:
    """The predictor's model as its module asks it, or another one in that one's place."""
    lms = session.program.lms
    lm = predictor.asks(lms, name)
    if lm is None:
        raise ConfigurationError(
            f"the program names the model `{name or predictor.lm}`, which is not among its models: "
            f"{', '.join(lms) or 'it has none'}"
        )
    return lm
