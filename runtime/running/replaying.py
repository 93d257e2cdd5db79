"""Runs a program on kept answers alone, in the caller's thread.

An answer that is kept takes a fraction of what it costs to hand a call to the engine's thread and to be woken by it. So
a call that needs nothing else is answered where it is made, and what is the same for call after call is made once. Where
anything is missing, or an answer is not the last word, nothing has happened yet, and the call goes its usual way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import cast

from msgspec import Struct

from ..errors import DspecError
from ..models.endpoints import address
from ..models.protocol import Answer, Message
from ..schema.ensemble import Runnable
from ..schema.expressions import Expression, Member, Variable
from ..schema.identity import Same
from ..schema.lms import LM
from ..schema.program import CallStep, FieldSpec, Predictor, Program
from ..schema.types import STR, JsonValue, OneOf, Row, Scalar, Type
from ..schema.usage import Spent
from ..values.interpret import SharedWork, Work, evaluate, spend
from ..values.rows import fitting
from ..values.values import coerce
from .asking import KeptAsking, kept_asking
from .execute import Outcome
from .fitting import check_inputs
from .graph import STEPS_OF_A_STEP
from .session import Recording
from .stepruns import entry_of
from .strategies.base import ask_once
from .strategies.table import strategy_of

_MADE = 64
"""Ways to ask one predictor that are held."""
_TOGETHER = 64
"""Answers looked up at the same time: one alone takes three times as long as one of so many."""

Find = Callable[[Sequence[bytes]], Mapping[bytes, Answer]]
"""Gives those kept answers that there are, by their keys."""

_Scope = Mapping[str, JsonValue]
_Values = Callable[[_Scope], Row]


class Straight(Struct, frozen=True, eq=False):
    """What a run of a program is that does one thing after the other, and so needs no event loop: one call of one predictor."""

    program: Program
    step: CallStep
    predictor: Predictor
    lm: LM
    arguments: _Values
    """The predictor's inputs, from the program's."""
    outputs: _Values
    """The program's outputs, from its inputs and what the step gave."""
    texts: tuple[str, ...]
    """The inputs, where they are texts and nothing else."""
    computes: bool
    """Whether more than the model is asked, whose work is bounded."""
    asking: dict[tuple[str, int, float | None, str], KeptAsking]
    """What asks the predictor's model, by its address, the sample and the temperature; made when it is first needed."""

    def takes_as_texts(self, inputs: Mapping[str, object]) -> bool:
        """Whether these are its inputs, and need no more than a look."""
        texts = self.texts
        if not texts or len(inputs) != len(texts):
            return False
        for name in texts:  # noqa: SIM110  # a generator takes twice as long, and this is done for every row
            if type(inputs.get(name)) is not str:
                return False
        return True


class _Asked(Struct, frozen=True):
    """A question whose answer may be kept."""

    key: bytes
    scope: dict[str, JsonValue]
    row: Row
    question: Message
    work: Work | None
    """What the run may still compute, where it computes at all."""
    origin: float
    began: float


def straight(program: Runnable) -> Straight | None:
    """How a run of the program goes, where it is that simple; None of any other."""
    return _straight(Same(program))


def replayed(
    way: Straight,
    rows: Iterable[Row],
    find: Find,
    *,
    sample: int = 0,
    temperature: float | None = None,
    record: bool = False,
    used: Callable[[Answer], None] | None = None,
) -> Iterator[Outcome | None]:
    """For each row, in their order, the run as `execute.run` gives it; None where it takes more than one kept answer, or fails:
    it is to be run as usual then. `used` is told of the answers of the others.

    Answers are looked up for several rows at once: one, two, four and so on, so that little is done in vain where none is kept.
    """
    waiting = iter(rows)
    together = 1
    try:
        asking = _asking(way, sample, temperature)
    except DspecError:
        yield from (None for _ in waiting)
        return
    while part := list(islice(waiting, together)):
        together = min(2 * together, _TOGETHER)
        asked = [_ask(way, asking, inputs, time.perf_counter()) for inputs in part]
        try:
            answers = find([one.key for one in asked if one is not None])
        except (DspecError, sqlite3.Error):
            answers = dict[bytes, Answer]()
        for one in asked:
            answer = None if one is None else answers.get(one.key)
            outcome = None
            if one is not None and answer is not None:
                answer = asking.priced(answer)
                outcome = _answered(way, asking, one, answer, record)
                if outcome is not None and used is not None:
                    used(answer)
            yield outcome


def _ask(way: Straight, asking: KeptAsking, inputs: Row, origin: float) -> _Asked | None:
    """The run up to its question; None where it fails."""
    work: Work | None = None
    try:
        if not way.computes:
            scope, row = _arguments(way, inputs)
        else:
            work = Work()
            with SharedWork(work):
                spend(2 * STEPS_OF_A_STEP + len(inputs) // 8)
                scope, row = _arguments(way, inputs)
        question = asking.question(row)
        began = time.perf_counter()
        return _Asked(asking.key(question), scope, row, question, work, origin, began)
    except DspecError:
        return None


def _arguments(way: Straight, inputs: Row) -> tuple[dict[str, JsonValue], Row]:
    """What the program's expressions see, and the predictor's inputs. Raises DspecError."""
    scope: dict[str, JsonValue]
    if way.takes_as_texts(inputs):
        scope = {name: coerce(inputs[name], STR, {}) for name in way.texts}
    else:
        scope = dict(check_inputs(way.program, inputs))
    return scope, way.arguments(scope)


def _answered(way: Straight, asking: KeptAsking, one: _Asked, answer: Answer, record: bool) -> Outcome | None:
    """The run from its answer on; None where it fails, or goes on."""
    try:
        if one.work is None:
            return _finished(way, asking, one, answer, record)
        with SharedWork(one.work):
            return _finished(way, asking, one, answer, record)
    except DspecError:
        return None


def _finished(way: Straight, asking: KeptAsking, one: _Asked, answer: Answer, record: bool) -> Outcome | None:
    recording: Recording | None = None
    if record:
        recording = Recording(one.origin, [])
        recording.keep(way.lm, answer, "ledger", one.began)
    asked = asking.read(one.row, one.question, answer)
    if asked is None:
        return None
    one.scope[way.step.name] = asked.outputs
    entry = entry_of(recording, way.step.name, way.step.predictor, asked)
    return Outcome(way.outputs(one.scope), (entry,), Spent.of(answer.usage, answer.cost))


@lru_cache(maxsize=256)
def _straight(program: Same[Runnable]) -> Straight | None:
    one = program.value
    if not isinstance(one, Program) or len(one.steps) != 1 or one.neighbours is not None or one.tools:
        return None
    (step,) = one.steps
    predictor = one.predictors.get(step.predictor) if isinstance(step, CallStep) else None
    if not isinstance(step, CallStep) or predictor is None:
        return None
    lm = kept_asking(one, predictor)
    try:
        asks_once = strategy_of(predictor).run is ask_once
    except DspecError:
        return None
    if lm is None or not asks_once:
        return None
    inputs = {field.name: field.type for field in one.inputs}
    given = {field.name: field.type for field in predictor.signature.outputs}
    arguments = _taken(predictor.signature.inputs, step.arguments, inputs)
    outputs = _taken(one.outputs, one.returns, given, step.name)
    checks = bool(predictor.signature.checks) or any(record.checks for record in one.records.values())
    return Straight(
        one,
        step,
        predictor,
        lm,
        arguments or _computed(one, predictor.signature.inputs, step.arguments, step.name),
        outputs or _computed(one, one.outputs, one.returns, one.name),
        tuple(inputs) if not checks and inputs and all(kind == STR for kind in inputs.values()) else (),
        checks or arguments is None or outputs is None,
        {},
    )


def _asking(way: Straight, sample: int, temperature: float | None) -> KeptAsking:
    """Raises ConfigurationError where a variable that names the address is not set."""
    # 0 and 0.0 are two texts in a key.
    key = (address(way.lm), sample, temperature, repr(temperature))
    found = way.asking.get(key)
    if found is None:
        if len(way.asking) >= _MADE:
            way.asking.clear()
        found = way.asking[key] = KeptAsking(way.program, way.predictor, way.lm, sample, temperature)
    return found


_BOOL = Scalar(name="bool")


def _taken(
    fields: Sequence[FieldSpec],
    expressions: Mapping[str, Expression],
    known: Mapping[str, Type],
    of: str | None = None,
) -> _Values | None:
    """Takes the values of fields out of a scope, where each is another field's of the same type as it stands: an input's, or
    an output's of the step `of`. The types of those are `known`."""
    taken: list[tuple[str, str, bool]] = []
    for field in fields:
        source = expressions.get(field.name)
        if of is None:
            name = source.name if isinstance(source, Variable) else ""
        elif isinstance(source, Member) and isinstance(source.target, Variable) and source.target.name == of:
            name = source.name
        else:
            return None
        kind = known.get(name)
        if kind != field.type or not (kind in (STR, _BOOL) or isinstance(kind, OneOf)):
            return None
        # An answer may spell what is no character, as `coerce` knows; the inputs have been fitted.
        taken.append((field.name, name, of is not None and kind == STR))

    def values(scope: _Scope) -> Row:
        found = scope if of is None else cast("Row", scope[of])
        return {
            name: coerce(found[source], STR, {}) if text else found[source] for name, source, text in taken
        }

    return values


def _computed(
    program: Program, fields: Sequence[FieldSpec], expressions: Mapping[str, Expression], who: str
) -> _Values:
    """Computes them, as any run does."""

    def values(scope: _Scope) -> Row:
        found = {name: evaluate(expression, scope) for name, expression in expressions.items()}
        return fitting(fields, found, program.records, who)

    return values
