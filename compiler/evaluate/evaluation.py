"""Run programs on rows and score them: the one way in which a compile spends model calls.

An answer that cannot be used scores 0 with its reason kept. A provider's failure, a missing key or
the budget's wall is no score at all: it ends the evaluation, and what was answered stays in the
ledger and the store. Only where `on_error = "score_zero"` asks for it does a row whose model never
answers score 0 as well; such a run is remembered for as long as the compile lasts and no longer, and
`UNANSWERED_IN_A_ROW` of them with no answer in between are a dead endpoint, which ends the evaluation.
Results come in the rows' order however the answers arrive, and no sum depends on that order.

Rows of one evaluation start before those of the next, so that when several candidates are scored at
once and the budget ends, the first ones are complete.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import Literal

from dspec.runtime.errors import (
    BudgetExceeded,
    ParseError,
    ProviderError,
    Stopped,
    Unauthorized,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.running.vectors import read_vector
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.program import LM, Program, digest
from dspec.runtime.schema.types import Row

from .. import ir
from ..data.rows import Example
from .budget import Wall
from .events import Report, ScoringStarted, silent
from .gathering import Gathered, Told
from .judging import Judges
from .meter import Meter, Spent
from .outcomes import Attempt, Evaluation, RowResult
from .scoring import MAX_ERRORS, MetricError, Verdict, score_row
from .slots import Slots
from .store import UNANSWERED, ProgramKey, RunResult, Store
from .tasks import Halt, first, together
from .votes import Run, Votes

__all__ = ["Attempt", "Evaluation", "Evaluator", "RowResult", "Spent"]

Purpose = Literal["task", "teacher", "prompt", "judge"]

UNANSWERED_IN_A_ROW = 50

_BEGUN_AT_ONCE = 8
"""Rows begun before those at work get a turn: the first calls are on their way while the prompts of later ones are made."""


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
        on_error: ir.OnError = "stop",
        report: Report = silent,
    ) -> None:
        self.spent = Spent()
        self.unanswered: dict[bytes, RunResult] = {}
        """Runs that no model answered, by key, and that `on_error` makes a score of 0."""
        self._engine = engine
        self._store = store
        self._metric = metric
        self._judges = Judges(metric) if metric.judges else None
        self._max_errors = max_errors
        self._wall = wall
        self._on_error = on_error
        self._unanswered_in_a_row = {"judge": 0, "task": 0}
        self._report = report
        self._slots = Slots(width)
        self._turn = asyncio.Lock()
        self._running: dict[bytes, asyncio.Future[RunResult]] = {}
        self._made: set[bytes] = set()
        """Runs that were made here, and are in the store."""
        self._claimed: set[bytes] = set()
        """Runs that somebody counts."""
        self._inputs: dict[int, tuple[Example, str]] = {}

    def account(self, report: Report) -> Evaluator:
        """The same evaluator with a `spent` of its own: what is asked for through it, and was not through another
        before. So each of several that are at work at the same time knows what it took."""
        other = copy.copy(self)
        other.spent = Spent()
        other._report = report
        return other

    async def evaluate(
        self, program: Runnable, rows: Sequence[Example], *, label: str = "", told: Told | None = None
    ) -> Evaluation:
        """Every row's score; `told` hears of each as it comes. Raises MetricError when the metric fails on
        `max_errors` rows, ProviderError, ConfigurationError and BudgetExceeded as they come."""
        if isinstance(program, Ensemble):
            return await self._evaluate_votes(program, rows, label, told)
        keyed = ProgramKey(program)
        keys = [keyed.run(self._inputs_digest(row), sample=0, temperature=None) for row in rows]
        known = self._store.lookup(keys)
        # All at once and before anything is awaited, so that whose runs they are is no matter of time.
        own = [self._claim(key) for key in keys]
        results = Gathered(rows, self._max_errors, label, self._report, told)
        self._report(ScoringStarted(label, len(rows)))
        for place, key in enumerate(keys):
            if key in known:
                if own[place]:
                    self._count(known[key], "task")
                if self._judges is None:
                    results.take(place, self._row(rows[place], known[key]))
        pending = [place for place, key in enumerate(keys) if self._judges is not None or key not in known]

        async def one(place: int) -> None:
            result = known.get(keys[place])
            if result is None:
                result = await self._run(keys[place], program, rows[place], "task", 0, None)
                if own[place]:
                    self._count(result, "task")
            results.take(place, await self._scored(rows[place], result))

        await self._in_turn(pending, one)
        return results.complete()

    async def _evaluate_votes(
        self, ensemble: Ensemble, rows: Sequence[Example], label: str, told: Told | None
    ) -> Evaluation:
        votes = Votes(ensemble)
        results = Gathered(rows, self._max_errors, label, self._report, told)
        self._report(ScoringStarted(label, len(rows)))

        async def one(place: int) -> None:
            result = await votes.result(rows[place], self._member("task", 0, None))
            results.take(place, await self._scored(rows[place], result))

        await self._in_turn(range(len(rows)), one)
        return results.complete()

    def _member(self, purpose: Purpose, sample: int, temperature: float | None) -> Run:
        """How an ensemble has one of its members run, and a metric its judges: each run is kept and counted
        by itself."""

        async def run(program: Program, keyed: ProgramKey, example: Example) -> RunResult:
            inputs = digest(example.inputs) if purpose == "judge" else self._inputs_digest(example)
            key = keyed.run(inputs, sample=sample, temperature=temperature)
            result = self._store.lookup([key]).get(key)
            if result is None:
                result = await self._run(key, program, example, purpose, sample, temperature)
            self._count_once(key, result, purpose)
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
            return await self._attempted(example, result)
        keyed = ProgramKey(program)
        key = keyed.run(self._inputs_digest(example), sample=sample, temperature=temperature)
        result = self._store.lookup([key]).get(key)
        if result is None:
            async with self._slots:
                result = await self._run(key, program, example, "teacher", sample, temperature)
        self._count_once(key, result, "teacher")
        return await self._attempted(example, result)

    async def _attempted(self, example: Example, result: RunResult) -> Attempt:
        if result.outputs is None:
            unreadable = result.error is not None and result.error[0] == ParseError.__name__
            return Attempt(example, None, (), None, _reason(result), unreadable=unreadable)
        try:
            async with self._slots if self._judges is not None else nullcontext():
                verdict = await self._verdict(example, result.outputs)
        except MetricError as error:
            return Attempt(example, result.outputs, result.trace, None, error.message, True)
        if isinstance(verdict, RunResult):
            return Attempt(example, None, (), None, _reason(verdict))
        return Attempt(example, result.outputs, result.trace, verdict)

    async def embed(self, lm: LM, texts: Sequence[str]) -> list[list[float] | Halt]:
        """The texts' embeddings, all asked for at the same time, or the halts in their place."""

        async def one(text: str) -> list[float]:
            request = Request(lm, (Message("user", text),), kind="embedding")
            meter = Meter(self._engine, self._wall, urgent=True)
            async with self._slots:
                completion = await meter.complete(request)
            key = hashlib.sha256(f"embedding|{request.identity()}".encode()).digest()
            self._count_once(key, meter.result(None), "teacher")
            return read_vector(completion.answer.text)

        return await together([one(text) for text in texts])

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
                example = Example(0, inputs, {})
                result = await self._run(key, program, example, "prompt", sample, temperature)
        self._count_once(key, result, "prompt")
        return result.outputs

    async def _in_turn(self, places: Sequence[int], one: Callable[[int], Awaitable[None]]) -> None:
        """Run `one` for every place with bounded tasks.

        At the budget's wall nothing more is started and what is in flight is kept; any other failure
        cancels the rest.
        """
        halts: list[Halt] = []
        waiting = deque(places)
        begun = 0

        async def work(place: int) -> None:
            """One after the other: a task of its own for every row would cost 5 % of what a call costs."""
            try:
                await one(place)
                while waiting and not halts and not self._slots.wanted:
                    await one(waiting.popleft())
            except (BudgetExceeded, Stopped) as halt:
                halts.append(halt)

        try:
            # The turn ends when the last row has started; the group, when the last has ended.
            async with asyncio.TaskGroup() as group, self._turn:
                while waiting:
                    await self._slots.acquire()
                    if halts or not waiting:
                        self._slots.release()
                        break
                    task = group.create_task(work(waiting.popleft()))
                    # Not in a `finally` of the task: one cancelled before it began would never get there.
                    task.add_done_callback(lambda _: self._slots.release())
                    begun += 1
                    if begun % _BEGUN_AT_ONCE == 0:
                        await asyncio.sleep(0)
        except BaseExceptionGroup as failures:
            raise first(failures) from None
        finally:
            self._store.flush()
        if halts:
            raise halts[0]

    async def _run(
        self,
        key: bytes,
        program: Program,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
    ) -> RunResult:
        """The run's result: from whoever is making the same run right now, else by making it."""
        while (shared := self._running.get(key)) is not None:
            await asyncio.wait([shared])
            if not shared.cancelled():
                return shared.result()
        if key in self._made and (known := self._store.lookup([key]).get(key)) is not None:
            return known  # made since the caller looked
        if (unanswered := self.unanswered.get(key)) is not None:
            return unanswered
        future: asyncio.Future[RunResult] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            result = await self._execute(program, example, purpose, sample, temperature)
        except ProviderError as error:
            if not self._forgiven(error, purpose):
                future.cancel()
                raise
            result = self.unanswered[key] = RunResult(None, (), (UNANSWERED, error.message), 0, 0, 0, 0, 0)
        except BaseException:
            future.cancel()
            raise
        else:
            self._unanswered_in_a_row["judge" if purpose == "judge" else "task"] = 0
            self._store.put(key, result)
            self._made.add(key)
        finally:
            del self._running[key]
        future.set_result(result)
        return result

    def _forgiven(self, error: ProviderError, purpose: Purpose) -> bool:
        """Whether a row may score 0 for it: what fails for every row alike, a key or a dead endpoint, may not.

        A judge's endpoint may be dead while the program's answers on every row.
        """
        if self._on_error == "stop" or purpose == "prompt" or isinstance(error, Unauthorized):
            return False
        who = "judge" if purpose == "judge" else "task"
        self._unanswered_in_a_row[who] += 1
        return self._unanswered_in_a_row[who] < UNANSWERED_IN_A_ROW

    async def _execute(
        self, program: Program, example: Example, purpose: Purpose, sample: int, temperature: float | None
    ) -> RunResult:
        # Rows to be scored can be asked in any order; what an attempt or a proposal brings, others wait for.
        meter = Meter(self._engine, self._wall, urgent=purpose in ("teacher", "prompt"))
        return await meter.run(program, example.inputs, sample=sample, temperature=temperature)

    def _row(self, example: Example, result: RunResult) -> RowResult | MetricError:
        """What a metric without judges says of a run; with judges, of one that has no outputs."""
        if result.outputs is None:
            return RowResult(example.index, 0.0, None, _reason(result), unanswered=result.unanswered)
        try:
            verdict = score_row(self._metric, example.row, result.outputs, example.index)
        except MetricError as error:
            return error
        return RowResult(example.index, verdict.score, result.outputs, None, verdict.feedback)

    async def _scored(self, example: Example, result: RunResult) -> RowResult | MetricError:
        if self._judges is None or result.outputs is None:
            return self._row(example, result)
        try:
            verdict = await self._verdict(example, result.outputs)
        except MetricError as error:
            return error
        if isinstance(verdict, RunResult):
            return self._row(example, verdict)
        return RowResult(example.index, verdict.score, result.outputs, None, verdict.feedback)

    async def _verdict(self, example: Example, outputs: Row) -> Verdict | RunResult:
        """What the metric says; the run of a judge that never answered, where `on_error` makes a result of it."""
        if self._judges is None:
            return score_row(self._metric, example.row, outputs, example.index)
        return await self._judges.verdict(example, outputs, self._member("judge", 0, None))

    def _claim(self, key: bytes) -> bool:
        """Whether the caller is the one who counts the run: the first who claims it."""
        if key in self._claimed:
            return False
        self._claimed.add(key)
        return True

    def _count_once(self, key: bytes, result: RunResult, purpose: Purpose) -> None:
        if self._claim(key):
            self._count(result, purpose)

    def _count(self, result: RunResult, purpose: Purpose) -> None:
        spent = self.spent
        if purpose == "task":
            spent.task_calls += result.calls
        elif purpose == "teacher":
            spent.teacher_calls += result.calls
        elif purpose == "prompt":
            spent.prompt_calls += result.calls
        else:
            spent.judge_calls += result.calls
        spent.input_tokens += result.input_tokens
        spent.output_tokens += result.output_tokens
        spent.cost += result.cost
        spent.unpriced += result.unpriced

    def _inputs_digest(self, example: Example) -> str:
        """Hash of the inputs: labels reach no prompt, so rows that differ in them share their runs.

        Kept by identity together with the row, which keeps the identity from being reused.
        """
        kept = self._inputs.get(id(example))
        if kept is None:
            kept = self._inputs[id(example)] = (example, digest(example.inputs))
        return kept[1]


def _reason(result: RunResult) -> str:
    return result.error[1] if result.error is not None else "no outputs"
