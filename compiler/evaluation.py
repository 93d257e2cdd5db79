"""Run programs on rows and score them: the one way in which a compile spends model calls.

An answer that cannot be used scores 0 with its reason kept. A provider's failure, a missing key or
the budget's wall is no score at all: it ends the evaluation, and what was answered stays in the
ledger and the store. Results come in the rows' order however the answers arrive, and no sum depends
on that order.

Rows of one evaluation start before those of the next, so that when several candidates are scored at
once and the budget ends, the first ones are complete.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dspec.runtime.engine import Completion, Engine
from dspec.runtime.ensemble import Ensemble, Runnable
from dspec.runtime.errors import AnswerError, BudgetExceeded, EvaluationError, ParseError, Stopped
from dspec.runtime.execute import TraceStep, run
from dspec.runtime.program import Program, digest
from dspec.runtime.transports.base import Request
from dspec.runtime.types import Row

from . import ir
from .budget import Wall
from .data.rows import Example
from .events import Report, RowScored, ScoringStarted, silent
from .scoring import MAX_ERRORS, MetricError, Verdict, judge
from .store import ProgramKey, RunResult, Store
from .tasks import Halt, first
from .votes import Run, Votes

Purpose = Literal["task", "teacher", "prompt"]


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row's score. `reason` says why there are no outputs, or why the metric failed."""

    index: int
    score: float
    outputs: Row | None
    reason: str | None = None
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A program's scores on rows, in the rows' order."""

    rows: tuple[RowResult, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        return tuple(row.score for row in self.rows)

    @property
    def score(self) -> float:
        """Mean of the scores, correctly rounded; 0.0 without rows."""
        return math.fsum(row.score for row in self.rows) / len(self.rows) if self.rows else 0.0

    @property
    def failures(self) -> int:
        """Rows without a usable answer, or on which the metric failed."""
        return sum(row.reason is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One traced run. `verdict` is None when there is nothing to score; then `reason` says why."""

    example: Example
    outputs: Row | None
    trace: tuple[TraceStep, ...]
    verdict: Verdict | None
    reason: str | None = None
    metric_failed: bool = False
    unreadable: bool = False
    """True when there are no outputs because the answer could not be read, and not for a broken check."""

    def passes(self, threshold: float | None = None) -> bool:
        """Whether the trace may become a demo (`Verdict.passes`)."""
        return self.verdict is not None and self.verdict.passes(threshold)


@dataclass(slots=True)
class Spent:
    """What the runs of a compile needed, each distinct run counted once.

    Runs that the store or the ledger answered count as if they had been paid, so that these numbers
    are the same however often the compile is repeated. `cost` is in 1e-12 USD.
    """

    task_calls: int = 0
    teacher_calls: int = 0
    prompt_calls: int = 0
    """Calls of the model that writes instructions."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    unpriced: int = 0
    """Answers whose price nobody knows: `cost` lacks them."""

    @property
    def usd(self) -> float | None:
        """The cost in USD, or None where some price is not known."""
        return None if self.unpriced else self.cost / 1e12

    @property
    def calls(self) -> int:
        return self.task_calls + self.teacher_calls + self.prompt_calls

    def since(self, earlier: Spent) -> Spent:
        return Spent(
            self.task_calls - earlier.task_calls,
            self.teacher_calls - earlier.teacher_calls,
            self.prompt_calls - earlier.prompt_calls,
            self.input_tokens - earlier.input_tokens,
            self.output_tokens - earlier.output_tokens,
            self.cost - earlier.cost,
            self.unpriced - earlier.unpriced,
        )


class _Meter:
    """An engine as one run sees it: asks the wall first, counts what was asked, whoever answered."""

    def __init__(self, engine: Engine, wall: Wall | None) -> None:
        self._engine = engine
        self._wall = wall
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost = 0
        self.unpriced = 0

    async def complete(self, request: Request) -> Completion:
        completion = await self._asked(request)
        answer = completion.answer
        self.calls += 1
        self.input_tokens += answer.usage.input_tokens
        self.output_tokens += answer.usage.output_tokens
        self.cost += round((answer.cost or 0.0) * 1e12)
        self.unpriced += answer.cost is None
        return completion

    async def _asked(self, request: Request) -> Completion:
        if self._wall is None:
            return await self._engine.complete(request)
        reserved = await self._wall.reserve(request)
        try:
            completion = await self._engine.complete(request, before_attempt=self._wall.in_time)
        except BaseException:
            self._wall.settle(request, reserved, None)
            raise
        self._wall.settle(request, reserved, completion)
        return completion

    def result(
        self,
        outputs: Row | None,
        trace: tuple[TraceStep, ...] = (),
        error: tuple[str, str] | None = None,
    ) -> RunResult:
        return RunResult(
            outputs, trace, error, self.calls, self.input_tokens, self.output_tokens, self.cost, self.unpriced
        )


class Evaluator:
    """Engine, store and metric together. `width` bounds the runs in flight, and so the tasks.

    Life cycle: one per compile, used from one event loop; it owns neither engine nor store.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        metric: ir.Metric,
        *,
        width: int = 64,
        max_errors: int = MAX_ERRORS,
        wall: Wall | None = None,
        report: Report = silent,
    ) -> None:
        self.spent = Spent()
        self._engine = engine
        self._store = store
        self._metric = metric
        self._max_errors = max_errors
        self._wall = wall
        self._report = report
        self._slots = asyncio.Semaphore(width)
        self._turn = asyncio.Lock()
        self._running: dict[bytes, asyncio.Future[RunResult]] = {}
        self._counted: set[bytes] = set()
        self._inputs: dict[int, tuple[Example, str]] = {}

    async def evaluate(self, program: Runnable, rows: Sequence[Example], *, label: str = "") -> Evaluation:
        """Every row's score. Raises MetricError when the metric fails on `max_errors` rows,
        ProviderError, ConfigurationError and BudgetExceeded as they come."""
        if isinstance(program, Ensemble):
            return await self._evaluate_votes(program, rows, label)
        keyed = ProgramKey(program)
        keys = [keyed.run(self._inputs_digest(row), sample=0, temperature=None) for row in rows]
        known = self._store.lookup(keys)
        results = _Results(rows, self._max_errors, label, self._report)
        self._report(ScoringStarted(label, len(rows)))
        for place, key in enumerate(keys):
            if key in known:
                self._count(key, known[key], "task")
                results.take(place, self._row(rows[place], known[key]))
        pending = [place for place, key in enumerate(keys) if key not in known]

        async def one(place: int) -> None:
            result = await self._run(keys[place], program, rows[place], 0, None)
            self._count(keys[place], result, "task")
            results.take(place, self._row(rows[place], result))

        await self._in_turn(pending, one)
        return results.complete()

    async def _evaluate_votes(self, ensemble: Ensemble, rows: Sequence[Example], label: str) -> Evaluation:
        votes = Votes(ensemble)
        results = _Results(rows, self._max_errors, label, self._report)
        self._report(ScoringStarted(label, len(rows)))

        async def one(place: int) -> None:
            result = await votes.result(rows[place], self._member("task", 0, None))
            results.take(place, self._row(rows[place], result))

        await self._in_turn(range(len(rows)), one)
        return results.complete()

    def _member(self, purpose: Purpose, sample: int, temperature: float | None) -> Run:
        """How an ensemble has one of its members run: each run is kept and counted by itself."""

        async def run(program: Program, keyed: ProgramKey, example: Example) -> RunResult:
            key = keyed.run(self._inputs_digest(example), sample=sample, temperature=temperature)
            result = self._store.lookup([key]).get(key)
            if result is None:
                result = await self._run(key, program, example, sample, temperature)
            self._count(key, result, purpose)
            return result

        return run

    async def attempt(
        self,
        program: Runnable,
        example: Example,
        *,
        sample: int = 0,
        temperature: float | None = None,
    ) -> Attempt:
        """One traced run, scored. A metric's failure is reported in the attempt, not raised."""
        if isinstance(program, Ensemble):
            async with self._slots:
                result = await Votes(program).result(example, self._member("teacher", sample, temperature))
            return self._judged(example, result)
        keyed = ProgramKey(program)
        key = keyed.run(self._inputs_digest(example), sample=sample, temperature=temperature)
        result = self._store.lookup([key]).get(key)
        if result is None:
            async with self._slots:
                result = await self._run(key, program, example, sample, temperature)
        self._count(key, result, "teacher")
        return self._judged(example, result)

    def _judged(self, example: Example, result: RunResult) -> Attempt:
        if result.outputs is None:
            unreadable = result.error is not None and result.error[0] == ParseError.__name__
            return Attempt(example, None, (), None, _reason(result), unreadable=unreadable)
        try:
            verdict = judge(self._metric, example.row, result.outputs, example.index)
        except MetricError as error:
            return Attempt(example, result.outputs, result.trace, None, error.message, True)
        return Attempt(example, result.outputs, result.trace, verdict)

    async def ask(
        self, program: Program, inputs: Row, *, sample: int = 0, temperature: float | None = None
    ) -> Row | None:
        """One run that nobody scores: a question to the model that writes instructions.

        None when its answer cannot be used, even after it was asked again.
        """
        key = ProgramKey(program).run(digest(inputs), sample=sample, temperature=temperature)
        result = self._store.lookup([key]).get(key)
        if result is None:
            async with self._slots:
                result = await self._run(key, program, Example(0, inputs, {}), sample, temperature)
        self._count(key, result, "prompt")
        return result.outputs

    async def _in_turn(self, places: Sequence[int], one: Callable[[int], Awaitable[None]]) -> None:
        """Run `one` for every place with bounded tasks.

        At the budget's wall nothing more is started and what is in flight is kept; any other failure
        cancels the rest.
        """
        halts: list[Halt] = []

        async def guarded(place: int) -> None:
            try:
                await one(place)
            except (BudgetExceeded, Stopped) as halt:
                halts.append(halt)

        try:
            # The turn ends when the last row has started; the group, when the last has ended.
            async with asyncio.TaskGroup() as group, self._turn:
                for place in places:
                    await self._slots.acquire()
                    if halts:
                        self._slots.release()
                        break
                    task = group.create_task(guarded(place))
                    # Not in a `finally` of the task: one cancelled before it began would never get there.
                    task.add_done_callback(lambda _: self._slots.release())
        except BaseExceptionGroup as failures:
            raise first(failures) from None
        finally:
            self._store.flush()
        if halts:
            raise halts[0]

    async def _run(
        self, key: bytes, program: Program, example: Example, sample: int, temperature: float | None
    ) -> RunResult:
        """The run's result: from whoever is making the same run right now, else by making it."""
        while (shared := self._running.get(key)) is not None:
            await asyncio.wait([shared])
            if not shared.cancelled():
                return shared.result()
        if key in self._counted and (known := self._store.lookup([key]).get(key)) is not None:
            return known  # made since the caller looked
        future: asyncio.Future[RunResult] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            result = await self._execute(program, example, sample, temperature)
        except BaseException:
            future.cancel()
            raise
        else:
            self._store.put(key, result)
            future.set_result(result)
            return result
        finally:
            del self._running[key]

    async def _execute(
        self, program: Program, example: Example, sample: int, temperature: float | None
    ) -> RunResult:
        meter = _Meter(self._engine, self._wall)
        try:
            outcome = await run(program, example.inputs, meter, sample=sample, temperature=temperature)
        except (AnswerError, EvaluationError) as error:
            return _failed(program, meter, (type(error).__name__, error.message))
        return meter.result(outcome.outputs, outcome.trace)

    def _row(self, example: Example, result: RunResult) -> RowResult | MetricError:
        if result.outputs is None:
            return RowResult(example.index, 0.0, None, _reason(result))
        try:
            verdict = judge(self._metric, example.row, result.outputs, example.index)
        except MetricError as error:
            return error
        return RowResult(example.index, verdict.score, result.outputs, None, verdict.feedback)

    def _count(self, key: bytes, result: RunResult, purpose: Purpose) -> None:
        if key in self._counted:
            return
        self._counted.add(key)
        spent = self.spent
        if purpose == "task":
            spent.task_calls += result.calls
        elif purpose == "teacher":
            spent.teacher_calls += result.calls
        else:
            spent.prompt_calls += result.calls
        spent.input_tokens += result.input_tokens
        spent.output_tokens += result.output_tokens
        spent.cost += result.cost
        spent.unpriced += result.unpriced

    def snapshot(self) -> Spent:
        """What was spent so far, as a value."""
        return replace(self.spent)

    def _inputs_digest(self, example: Example) -> str:
        """Hash of the inputs: labels reach no prompt, so rows that differ in them share their runs.

        Kept by identity together with the row, which keeps the identity from being reused.
        """
        kept = self._inputs.get(id(example))
        if kept is None:
            kept = self._inputs[id(example)] = (example, digest(example.inputs))
        return kept[1]


class _Results:
    """Collects one evaluation's rows as they come, with running sums for the progress report."""

    def __init__(self, rows: Sequence[Example], max_errors: int, label: str, report: Report) -> None:
        self._examples = rows
        self._rows: list[RowResult | None] = [None] * len(rows)
        self._errors: dict[int, MetricError] = {}
        self._max_errors = max_errors
        self._label = label
        self._report = report
        self._done = 0
        self._sum = 0.0

    def take(self, place: int, result: RowResult | MetricError) -> None:
        if isinstance(result, MetricError):
            self._errors[place] = result
            if len(self._errors) >= self._max_errors:
                raise self._too_many()
            result = RowResult(self._examples[place].index, 0.0, None, result.message)
        self._rows[place] = result
        self._done += 1
        self._sum += result.score
        self._report(RowScored(self._label, self._done, len(self._rows), self._sum / self._done))

    def complete(self) -> Evaluation:
        return Evaluation(tuple(row for row in self._rows if row is not None))

    def _too_many(self) -> MetricError:
        first = self._errors[min(self._errors)]
        count = len(self._errors)
        return MetricError(
            first.message if count == 1 else f"{first.message} (and {count - 1} more rows)",
            help=first.help or "the metric must give a score for every row",
        )


def _failed(program: Program, meter: _Meter, error: tuple[str, str]) -> RunResult:
    """A run without outputs.

    When one of several calls fails, what the others have done by then is a matter of time, which
    must not enter any result: such a run counts its nominal calls, and no tokens.
    """
    nominal = program.calls_per_run()
    if nominal > 1:
        return RunResult(None, (), error, nominal, 0, 0, 0, 0)
    return meter.result(None, error=error)


def _reason(result: RunResult) -> str:
    return result.error[1] if result.error is not None else "no outputs"
