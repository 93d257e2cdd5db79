"""Runs a program on kept answers alone, in the caller's thread.

An answer that is kept takes a fraction of what it costs to hand a call to the engine's thread and to be woken by it. So
a call that needs nothing else is answered where it is made, and what is the same for call after call is made once. Where
anything is missing, or an answer is not the last word, nothing has happened yet, and the call goes its usual way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import cast

from msgspec import Struct

from ..errors import DspecError
from ..models.endpoints import address
from ..models.ledger import Ledger
from ..schema.ensemble import Runnable
from ..schema.expressions import Expression, Member, Variable
from ..schema.identity import Same
from ..schema.lms import LM
from ..schema.program import CallStep, FieldSpec, Predictor, Program
from ..schema.types import STR, JsonValue, OneOf, Row, Scalar, Type
from ..schema.usage import Spent
from ..values.interpret import SharedWork, evaluate, spend
from ..values.rows import fitting
from ..values.values import coerce
from .asking import KeptAsking, kept_asking
from .execute import Outcome
from .fitting import check_inputs
from .graph import STEPS_OF_A_STEP, entry_of
from .session import Recording
from .strategies.base import ask_once
from .strategies.table import strategy_of

_MADE = 64
"""Ways to ask one predictor that are held."""

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
    asking: dict[tuple[str, float | None, str], KeptAsking]
    """What asks the predictor's model, by its address and the temperature; made when it is first needed."""

    def takes_as_texts(self, inputs: Mapping[str, object]) -> bool:
        """Whether these are its inputs, and need no more than a look."""
        return (
            len(inputs) == len(self.texts) > 0
            and all(name in inputs for name in self.texts)
            and all(type(value) is str for value in inputs.values())
        )


def straight(program: Runnable) -> Straight | None:
    """How a run of the program goes, where it is that simple; None of any other."""
    return _straight(Same(program))


def replayed(way: Straight, inputs: Row, ledger: Ledger, temperature: float | None) -> Outcome | None:
    """The recorded run, as `execute.run` gives it; None where it takes more than one kept answer, or fails: it is to be run
    as usual then."""
    try:
        if not way.computes:
            return _replayed(way, inputs, ledger, temperature)
        with SharedWork():
            spend(2 * STEPS_OF_A_STEP + len(inputs) // 8)
            return _replayed(way, inputs, ledger, temperature)
    except (DspecError, sqlite3.Error):
        return None


def _replayed(way: Straight, inputs: Row, ledger: Ledger, temperature: float | None) -> Outcome | None:
    asking = _asking(way, temperature)
    scope: dict[str, JsonValue]
    if way.takes_as_texts(inputs):
        scope = {name: coerce(inputs[name], STR, {}) for name in way.texts}
    else:
        scope = dict(check_inputs(way.program, inputs))
    origin = time.perf_counter()
    row = way.arguments(scope)
    question = asking.question(row)
    began = time.perf_counter()
    answer = ledger.get_beside(asking.key(question))
    if answer is None:
        return None
    answer = asking.priced(answer)
    recording = Recording(origin, [])
    recording.keep(way.lm, answer, "ledger", began)
    asked = asking.read(row, question, answer)
    if asked is None:
        return None
    scope[way.step.name] = asked.outputs
    entry = entry_of(recording, way.step.name, way.step.predictor, asked)
    return Outcome(way.outputs(scope), (entry,), Spent.of(answer.usage, answer.cost))


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


def _asking(way: Straight, temperature: float | None) -> KeptAsking:
    """Raises ConfigurationError where a variable that names the address is not set."""
    # 0 and 0.0 are two texts in a key.
    key = (address(way.lm), temperature, repr(temperature))
    found = way.asking.get(key)
    if found is None:
        if len(way.asking) >= _MADE:
            way.asking.clear()
        found = way.asking[key] = KeptAsking(way.program, way.predictor, way.lm, temperature)
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
