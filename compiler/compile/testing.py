"""Runs tests: each program on its inputs, once, and every condition on what it gave.

A test passed, or failed, or is unfinished: somebody did not answer who had to be asked. That is no failure of the program,
and is never taken for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from dspec.runtime.adapters.turns import turn_media
from dspec.runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    DspecError,
    EvaluationError,
    InputError,
    ProviderError,
    Stopped,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.running.execute import run
from dspec.runtime.running.metered import Meter
from dspec.runtime.running.rewards import Judged, Opinion, Wanted, number_of_score
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.schema.usage import Spent
from dspec.runtime.values.interpret import SharedWork, evaluate
from dspec.runtime.values.media import MediumKind, medium_kind
from dspec.runtime.values.values import short

from .. import ir
from ..data.media import MediaFiles
from .recorded import AnswersFile, NotRecorded, Recorded, not_recorded

Status = Literal["passed", "failed", "unfinished"]

_UNFINISHED = (ProviderError, ConfigurationError, BudgetExceeded, Stopped)


class Shown(Struct, frozen=True):
    """A part of a condition, and its value."""

    text: str
    value: JsonValue


class Expected(Struct, frozen=True):
    """What became of one `expect`. `held` is None where it could not be told: `error` says why."""

    text: str
    where: str
    held: bool | None
    shown: tuple[Shown, ...] = ()
    error: str = ""


class Tested(Struct, frozen=True):
    """What became of one test. `error` ended its run; `outputs` are None then."""

    test: ir.Test
    status: Status
    expected: tuple[Expected, ...] = ()
    outputs: Row | None = None
    error: DspecError | None = None
    used: Spent = Spent()
    """What all its answers take, whoever gave them."""
    paid: Spent = Spent()
    """What those of them took that a model gave just now."""


class Suite(Struct, frozen=True):
    """The tests of one file, and what they need."""

    tests: Sequence[ir.Test]
    programs: Mapping[str, Runnable]
    """Those that the tests name; a test whose program is not there fails."""
    file: AnswersFile
    media: MediaFiles
    """The files that the tests name."""

    def most_calls(self) -> int:
        """Model calls at most, judges included, when every answer parses and every check holds."""
        programs = [self.programs[test.program] for test in self.tests if test.program in self.programs]
        judges = [judge.program for test in self.tests for one in test.expectations for judge in one.judges]
        return sum(map(calls_per_run, [*programs, *judges]))


async def run_tests(
    suite: Suite,
    engine: Engine,
    *,
    asking: bool,
    told: Callable[[Tested], None] = lambda tested: None,
) -> list[Tested]:
    """Every test's result, in their order, which is that in which `told` hears of them.

    With `asking`, what the suite's file lacks is asked and put into it. At most as many tests are under way as the engine may
    make calls.
    """
    places = asyncio.Semaphore(engine.threads)

    async def one(test: ir.Test) -> tuple[Tested, Recorded]:
        asks = Recorded(engine, suite.file, asking=asking)
        async with places:
            return await _tested(suite, test, asks), asks

    results: list[Tested] = []
    needed: set[str] = set()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(test)) for test in suite.tests]
        for task in tasks:
            tested, asks = await task
            needed |= asks.needed
            kept = asks.found.values()
            if tested.status == "unfinished":  # what failed is asked again
                kept = [line for line in kept if line.failure is None]
            suite.file.add(kept)
            results.append(tested)
            told(tested)
    suite.file.needed |= needed
    return results


async def _tested(suite: Suite, test: ir.Test, asks: Recorded) -> Tested:
    program = suite.programs.get(test.program)
    if program is None:
        missing = ConfigurationError(
            f"`{test.program}` has not been compiled", help="run `dspc compile` first"
        )
        return Tested(test, "failed", error=missing)
    meter = Meter(asks)
    try:
        with SharedWork():
            inputs = _inputs(test, program, suite.media)
            outputs = (await run(program, inputs, meter)).outputs
            expected = tuple([await _expected(one, outputs, meter) for one in test.expectations])
        if asks.missed:
            raise not_recorded(asks.missed[0], suite.file)
    except DspecError as error:
        infrastructure = isinstance(error, _UNFINISHED) and not isinstance(error, NotRecorded)
        return Tested(
            test, "unfinished" if infrastructure else "failed", error=error, used=meter.used, paid=asks.paid
        )
    passed = all(one.held for one in expected)
    return Tested(test, "passed" if passed else "failed", expected, outputs, None, meter.used, asks.paid)


def _inputs(test: ir.Test, program: Runnable, media: MediaFiles) -> Row:
    """What the test gives, with the files that it names. Raises InputError for one that cannot be sent."""
    kinds: dict[str, MediumKind | None] = {one.name: medium_kind(one.type) for one in program.inputs}
    turns = turn_media(programs(program))
    inputs: Row = {}
    for name, value in test.given.items():
        inputs[name] = evaluate(value, {})
        try:
            if (kind := kinds.get(name)) is not None:
                inputs[name] = media.value(inputs[name], kind)
            elif name in turns:
                inputs[name] = media.in_turns(inputs[name], turns[name])
        except ValueError as error:
            raise InputError(f"the input `{name}` does not fit: {error}") from None
    return inputs


async def _expected(one: ir.Expectation, outputs: Row, meter: Meter) -> Expected:
    opinions: dict[str, Opinion] = {}

    async def asked(wanted: Wanted) -> None:
        said = (await run(wanted.judge.program, wanted.inputs, meter)).outputs
        score, reason = number_of_score(said["score"]), said["reason"]
        if score is None or not isinstance(reason, str):
            raise EvaluationError(f"the judge of `{one.text}` gave no score, but {short(said['score'])}")
        opinions[wanted.judge.name] = Opinion(score, reason)

    def condition() -> Expected:
        scope = Judged(outputs, (), one.judges, opinions)
        try:
            held = evaluate(one.condition, scope)
        except DspecError as error:
            return Expected(one.text, one.where, None, _parts(one, outputs, opinions), error.message)
        if not isinstance(held, bool):
            error = f"it is {short(held)}, and must be true or false"
            return Expected(one.text, one.where, None, _parts(one, outputs, opinions), error)
        return Expected(one.text, one.where, held, () if held else _parts(one, outputs, opinions))

    return await _with_judges(condition, asked)


async def _with_judges(
    condition: Callable[[], Expected], asked: Callable[[Wanted], Awaitable[None]]
) -> Expected:
    while True:  # at most once for each judge, and once more
        try:
            return condition()
        except Wanted as wanted:
            await asked(wanted)


def _parts(one: ir.Expectation, outputs: Row, opinions: Mapping[str, Opinion]) -> tuple[Shown, ...]:
    """The values that the condition came of, as far as they are there; a judge that it did not come to is not asked."""
    found: list[Shown] = []
    for part in one.parts:
        try:
            found.append(Shown(part.text, evaluate(part.value, Judged(outputs, (), one.judges, opinions))))
        except (DspecError, Wanted):
            continue
    return tuple(found)
