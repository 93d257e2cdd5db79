"""Running a program's graph: steps that do not depend on each other run at the same time.

A step starts when what it reads is there. A check belongs to what it can send back: the call it
blames and the steps up to the check that depend on that call; whatever reads one of those later
waits for the check. Steps are awaited in their written order, so when several fail, the error
is that of the first one, however the answers arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from ..errors import AnswerError, CheckFailed, ConfigurationError, EvaluationError, InputError
from ..models.protocol import Message, Request
from ..schema.ensemble import Ensemble, Runnable
from ..schema.program import LM, CallStep, CheckStep, FieldSpec, Predictor, Program, Record, Step, ValueStep
from ..schema.types import JsonValue, OptionalOf, Row, spell
from ..schema.usage import Spent
from ..values.checks import Failure, failures, record_failures
from ..values.interpret import evaluate, names
from ..values.values import coerce
from .asking import Asked, Asks, Meter, ProgramRun, ask_again, given_up
from .election import ballot, drawn, elect, reduced
from .neighbours import with_nearest_demos
from .strategies.table import strategy_of
from .vectors import read_vector


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One predictor's part in a run. `attempts` counts its model calls."""

    step: str
    predictor: str
    inputs: Row
    outputs: Row
    attempts: int
    notes: tuple[str, ...] = ()


class Outcome(Struct, frozen=True):
    """What a run gave; the trace holds the calls in the steps' written order."""

    outputs: Row
    trace: tuple[TraceStep, ...]
    used: Spent = Spent()
    """Of all answers that the run used, whoever gave them."""
    paid: Spent = Spent()
    """Of those among them that were asked of a model just now."""
    notes: tuple[str, ...] = ()
    """Suggestions on no call in particular that do not hold; the others stand in the trace."""

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
) -> Outcome:
    """One run of the program. `sample` tells repeats apart; `temperature` overrides every model's.

    The trace of an ensemble's run is that of the member whose answer was elected; empty where a program
    reduces and says what no member said.

    Raises InputError for inputs that the program does not take, AnswerError when a model's answers
    cannot be used, ProviderError when a model does not answer.
    """
    scope: dict[str, JsonValue] = dict(check_inputs(program, inputs))
    if isinstance(program, Ensemble):
        return await _vote(program, scope, engine, sample, temperature)
    meter = Meter(engine)
    program = await with_nearest_demos(program, scope, partial(_embedding, meter))
    execution = _Execution(program, ProgramRun(program, meter, sample, temperature), scope)
    await execution.all_steps()
    outputs = _returned(program, scope)
    return Outcome(outputs, execution.trace(), meter.used, meter.paid, tuple(execution.notes))


async def _embedding(engine: Asks, lm: LM, text: str) -> list[float]:
    """A text's embedding: a call like any other. Another model's would not be comparable: no fallback."""
    completion = await engine.complete(Request(lm, (Message("user", text),), kind="embedding"))
    return read_vector(completion.answer.text)


async def _vote(
    ensemble: Ensemble, inputs: Row, engine: Asks, sample: int, temperature: float | None
) -> Outcome:
    """The members' answers, all asked for at the same time, made into one."""
    counted = Meter(engine)  # those that come to nothing included
    tasks = [
        asyncio.create_task(
            run(ensemble.members[place], inputs, counted, sample=sample, temperature=temperature)
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
            made = await run(ensemble.reducer, given, counted, sample=sample, temperature=temperature)
        election = None if made is None else reduced(ensemble, made.outputs, answers)
    if election is None:
        raise unusable[0]
    elected = None if election.elected is None else outcomes[election.elected]
    notes = (*(elected.notes if elected else ()), f"{election.agreed} of {len(tasks)} members agreed")
    if unusable:
        notes = (*notes, f"{len(unusable)} had no usable answer: {unusable[0].message}")
    return Outcome(election.outputs, elected.trace if elected else (), counted.used, counted.paid, notes)


def check_inputs(program: Runnable, inputs: Row) -> Row:
    """Every input, checked and with defaults filled in. Raises InputError."""
    known = [spec.name for spec in program.inputs]
    listed = f"`{program.name}` takes {', '.join(_listed(spec) for spec in program.inputs) or 'no inputs'}"
    for name in inputs:
        if name not in known:
            raise InputError(f"there is no input `{name}`: {listed}")
    row: Row = {}
    for spec in program.inputs:
        try:
            row[spec.name] = _given(spec, inputs, program.records)
        except LookupError:
            raise InputError(f"the input `{spec.name}` is missing: {listed}") from None
        except ValueError as error:
            raise InputError(f"the input `{spec.name}` does not fit: {error}") from None
    for failure in record_failures(program.inputs, row, program.records):
        if failure.kind == "assert":
            raise InputError(f"the inputs do not hold: {failure.message}")
    return row


def _listed(spec: FieldSpec) -> str:
    return f"{spec.name}: {spell(spec.type)}" + (" (optional)" if _optional(spec) else "")


def _optional(spec: FieldSpec) -> bool:
    return spec.has_default or isinstance(spec.type, OptionalOf)


def _given(spec: FieldSpec, row: Mapping[str, JsonValue], records: Mapping[str, Record]) -> JsonValue:
    """The field's value in a row. Raises KeyError when it is missing, ValueError when it does not fit."""
    if spec.name in row:
        return coerce(row[spec.name], spec.type, records)
    if spec.has_default:
        return spec.default
    if isinstance(spec.type, OptionalOf):
        return None
    raise KeyError(spec.name)


def _returned(program: Program, scope: Mapping[str, JsonValue]) -> Row:
    returns = {name: evaluate(expression, scope) for name, expression in program.returns.items()}
    return _fitting(program.outputs, returns, program.records, program.name)


def _fitting(
    fields: Sequence[FieldSpec], row: Mapping[str, JsonValue], records: Mapping[str, Record], who: str
) -> Row:
    """Computed values as the fields have them. Raises EvaluationError."""
    out: Row = {}
    for spec in fields:
        try:
            out[spec.name] = _given(spec, row, records)
        except LookupError:
            raise EvaluationError(f"{who}: `{spec.name}` has no value") from None
        except ValueError as error:
            raise EvaluationError(f"{who}: `{spec.name}`: {error}") from None
    return out


class _Execution:
    """One run in progress. `scope` gains every step's value as it comes."""

    def __init__(self, program: Program, session: ProgramRun, scope: dict[str, JsonValue]) -> None:
        self.program = program
        self.session = session
        self.scope = scope
        self.asked: dict[int, Asked] = {}
        self.notes: list[str] = []
        self.order = _order(program.steps)

    async def all_steps(self) -> None:
        if len(self.program.steps) == 1:
            await self.step(0)
            return
        tasks: list[asyncio.Task[None]] = []
        try:
            for index in range(len(self.program.steps)):
                before = [tasks[earlier] for earlier in self.order[index].after]
                tasks.append(asyncio.create_task(self.when_ready(index, before)))
            for task in tasks:
                await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def when_ready(self, index: int, before: Sequence[asyncio.Task[None]]) -> None:
        for task in before:
            await asyncio.shield(task)
        await self.step(index)

    async def step(self, index: int) -> None:
        step = self.program.steps[index]
        match step:
            case CallStep():
                predictor, inputs = self.predictor(step), self.arguments(step)
                self.keep(index, step, await strategy_of(predictor).run(self.session, predictor, inputs))
            case ValueStep(name=name, value=value):
                self.scope[name] = evaluate(value, self.scope)
            case CheckStep():
                await self.check(index, step)

    def keep(self, index: int, step: CallStep, asked: Asked) -> None:
        self.asked[index] = asked
        self.scope[step.name] = asked.outputs

    def predictor(self, step: CallStep) -> Predictor:
        found = self.program.predictors.get(step.predictor)
        if found is None:
            raise ConfigurationError(f"step `{step.name}` calls `{step.predictor}`, which the program lacks")
        return found

    def arguments(self, step: CallStep) -> Row:
        given = {name: evaluate(expression, self.scope) for name, expression in step.arguments.items()}
        return _fitting(self.predictor(step).signature.inputs, given, self.program.records, step.name)

    async def check(self, index: int, step: CheckStep) -> None:
        """Holds the check, asking the blamed call again as often as its signature allows."""
        broken = failures([step.check], self.scope)
        blamed = self.order[index].blamed
        if not broken:
            return
        if blamed is None:
            if step.check.kind == "assert":
                raise CheckFailed(f"{self.program.name}: {broken[0].message}")
            self.notes.append(f"suggest not met: {broken[0].message}")
            return
        call = self.program.steps[blamed]
        assert isinstance(call, CallStep)
        predictor = self.predictor(call)
        for _ in range(predictor.signature.max_retries):
            asked = self.asked[blamed]
            messages = list(dict.fromkeys(failure.message for failure in broken))
            asked = replace(asked, notes=(*asked.notes, *(f"asked again: {text}" for text in messages)))
            self.keep(blamed, call, await ask_again(self.session, predictor, asked, messages))
            broken = await self.again(index, step)
            if not broken:
                return
        asked = self.asked[blamed]
        self.asked[blamed] = replace(asked, notes=(*asked.notes, *given_up(broken, self.program.name, asked)))

    async def again(self, index: int, step: CheckStep) -> list[Failure]:
        """What follows from a new answer is done again; the checks among it, and this one, that fail."""
        broken: list[Failure] = []
        for dependent in self.order[index].redone:
            other = self.program.steps[dependent]
            if isinstance(other, CheckStep):
                broken.extend(failures([other.check], self.scope))
            elif not any(failure.kind == "assert" for failure in broken):
                earlier = self.asked.get(dependent)
                await self.step(dependent)
                if earlier is not None:
                    asked = self.asked[dependent]
                    self.asked[dependent] = replace(asked, attempts=asked.attempts + earlier.attempts)
        return broken or failures([step.check], self.scope)

    def trace(self) -> tuple[TraceStep, ...]:
        return tuple(
            TraceStep(step.name, step.predictor, asked.inputs, asked.outputs, asked.attempts, asked.notes)
            for index, step in enumerate(self.program.steps)
            if isinstance(step, CallStep) and (asked := self.asked.get(index)) is not None
        )


class StepPlace(Struct, frozen=True):
    """A step's place in the order of things: indices of other steps, all before it.

    `after` must be done before it starts. For a check, `blamed` is the call it sends back, and `redone`
    are the steps between the two that follow from that call.
    """

    after: tuple[int, ...]
    blamed: int | None = None
    redone: tuple[int, ...] = ()


_SINGLE = (StepPlace(()),)


def _order(steps: tuple[Step, ...]) -> tuple[StepPlace, ...]:
    """`plan`, spared for the one call that most programs are."""
    return _SINGLE if len(steps) == 1 and isinstance(steps[0], CallStep) else plan(steps)


def plan(steps: Sequence[Step]) -> tuple[StepPlace, ...]:
    """Each step's place. Only earlier steps are ever waited for, so there are no circles."""
    places: list[StepPlace] = []
    read: list[set[int]] = []
    made: dict[str, int] = {}
    held: dict[int, list[int]] = {}
    """By step: the checks that may have it done again."""
    gates: list[int] = []
    """Checks that blame no call: everything later waits, since they may end the run for nothing spent."""
    for index, step in enumerate(steps):
        reads = {made[name] for name in _reads(step) if name in made}
        read.append(reads)
        after = reads | {check for other in reads for check in held.get(other, ())} | set(gates)
        if not isinstance(step, CheckStep):
            made[step.name] = index
            places.append(StepPlace(tuple(sorted(after))))
            continue
        blamed = made.get(step.blames) if step.blames is not None else None
        if blamed is None:
            gates.append(index)
            places.append(StepPlace(tuple(sorted(after))))
            continue
        redone = _following(read, blamed, index)
        # A step that is to be done again must have been done, and no other check may redo it meanwhile.
        touched = {blamed, *redone}
        after |= touched | {check for other in touched for check in held.get(other, ())}
        for other in touched:
            held.setdefault(other, []).append(index)
        places.append(StepPlace(tuple(sorted(after)), blamed, redone))
    return tuple(places)


def _following(read: Sequence[set[int]], start: int, end: int) -> tuple[int, ...]:
    """Steps between two that read, directly or not, what the first makes."""
    found = {start}
    for index in range(start + 1, end):
        if found & read[index]:
            found.add(index)
    return tuple(sorted(found - {start}))


def _reads(step: Step) -> frozenset[str]:
    match step:
        case CallStep(arguments=arguments):
            return frozenset[str]().union(*map(names, arguments.values()))
        case ValueStep(value=value):
            return names(value)
        case CheckStep(check=check):
            return names(check.condition) | names(check.message)
