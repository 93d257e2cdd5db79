"""Run programs on rows and score them: the one way in which a compile spends model calls.

An answer that cannot be used scores 0 with its reason kept. A provider's failure, a missing key, a metric that fails
or the budget's wall is no score at all: it ends the evaluation, and what was answered stays in the
ledger and the store. Only where `on_error = "score_zero"` asks for it does a row whose model never
answers score 0 as well; such a run is remembered for as long as the compile lasts and no longer, and many of
them in a row are a dead endpoint, which ends the evaluation (`turns`). So does a row on which the metric fails, up to
`MAX_ERRORS` of them.

Nothing that is decided or counted depends on the order in which answers arrive: results come in the rows' order, and
an evaluation that ends early ends at the first row, in that order, that ends it (`gathering`). Rows beyond that one may
have been asked by then; their answers are kept, and are neither counted nor reported. Which row meets the budget's
wall, or a stop, can be a matter of time; that it was met is all that is reported, and programs are scored whole or not at all.

Rows of one evaluation start before those of the next, so that when several candidates are scored at
once and the budget ends, the first ones are complete.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from dspec.runtime.errors import (
    AnswerError,
    DspecError,
    FunctionFailed,
    ProviderError,
    Refused,
    ToolFailed,
    Unauthorized,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.running.execute import run as run_once
from dspec.runtime.running.replaying import replayed, straight
from dspec.runtime.running.vectors import read_vector
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.program import LM, Program, digest
from dspec.runtime.schema.types import Row
from dspec.runtime.schema.usage import Flaws, Spent, pico
from dspec.runtime.values.values import short

from .. import ir
from ..data.rows import Example
from .budget import Wall
from .events import Report, ScoringStarted, silent
from .gathering import Gathered, Told, Unreadable
from .judging import Judges
from .leaving_out import left_out
from .meter import Account, Execute, PaidMeter, Purpose, metered
from .outcomes import Attempt, Evaluation, RowResult
from .scoring import MAX_ERRORS, MetricError, Verdict, score_row
from .shares import nothing
from .store import UNANSWERED, ProgramKey, RunResult, Store
from .tasks import Halt, together
from .toolfailures import ToolFailures
from .turns import RunUse, Slots, Turn, Turns
from .votes import Run, Votes

__all__ = ["Attempt", "Evaluation", "Evaluator", "RowResult"]

Result = TypeVar("Result")

_WITHOUT = 8
"""So many rows in a row without a kept answer, and the others are run as if none had one."""
_REPLAYED_AT_ONCE = 64
"""Rows whose answers are kept before others get a turn."""
_OF_TOOLS = (ToolFailed.__name__, FunctionFailed.__name__)
"""Errors of runs that a failed tool ended."""
_BEGUN_AT_ONCE = 8
"""Rows begun before those at work get a turn: the first calls are on their way while the prompts of later ones are made."""


class Evaluator:
    """Engine, store and metric together. `width` bounds the runs in flight, and so the tasks; `execute` is where they are
    made.

    Life cycle: one per compile, used from one event loop; it owns neither engine nor store.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        metric: ir.Metric,
        *,
        width: int = 64,
        max_errors: int | None = None,
        wall: Wall | None = None,
        on_error: ir.OnError = "stop",
        report: Report = silent,
        execute: Execute = metered,
    ) -> None:
        self.spent = Account()
        self.unanswered: dict[bytes, RunResult] = {}
        """Runs that no model answered, by key, and that `on_error` makes a score of 0."""
        self._engine = engine
        self._execute_run = execute
        self._store = store
        self._metric = metric
        self._judges = Judges(metric) if metric.judges else None
        self.max_errors = max_errors or (1 if on_error == "stop" else MAX_ERRORS)
        """The rows on which the metric may fail: at the last of them the evaluation ends."""
        self.failed: dict[int, str] = {}
        """Rows that scored 0 because the metric failed on them, each with the first reason."""
        self.tools = ToolFailures()
        """Of the runs that were counted."""
        self._wall = wall
        self._on_error = on_error
        self._report = report
        self._slots = Slots(width)
        self._starting = asyncio.Lock()
        """Held while the rows of one evaluation start."""
        self._running: dict[bytes, asyncio.Future[RunResult]] = {}
        self._made: set[bytes] = set()
        """Runs that were made here, and are in the store."""
        self._claimed: set[bytes] = set()
        """Runs that somebody counts."""
        self._failures: dict[bytes, ProviderError] = {}
        """What became of the runs that are `unanswered`."""
        self._turns = Turns(self._made, self._failures)
        self._inputs: dict[int, tuple[Example, str]] = {}

    def account(self, report: Report) -> Evaluator:
        """The same evaluator with a `spent` of its own: what is asked for through it, and was not through another
        before. So each of several that are at work at the same time knows what it took."""
        other = copy.copy(self)
        other.spent = Account()
        other._report = report
        other._turns = self._turns.apart()
        return other

    async def evaluate(
        self,
        program: Runnable,
        rows: Sequence[Example],
        *,
        label: str = "",
        told: Told | None = None,
        must_read: bool = False,
    ) -> Evaluation:
        """Every row's score; `told` hears of each as it comes. Raises MetricError when the metric has failed on
        `max_errors` rows, ProviderError, ConfigurationError, BudgetExceeded and Stopped, and with `must_read` ParseError
        when no answer to the first rows can be read; whichever the rows' order comes to first."""
        if isinstance(program, Ensemble):
            return await self._evaluate_votes(program, rows, label, told)
        try:
            return await self._evaluate(program, rows, label, told, must_read=must_read)
        except Unreadable as error:
            raise await self._shown(error, program, rows[0]) from None

    async def _shown(self, error: Unreadable, program: Program, first: Example) -> Unreadable:
        """The error with the last answer to the first row: it is in the ledger, and so costs nothing."""
        try:
            purse = None if self._wall is None else self._wall.purse(0)
            await run_once(program, first.inputs, PaidMeter(self._engine, purse, urgent=True))
        except AnswerError as failure:
            error.raw = failure.raw
            error.help = (
                f"the last answer to the first row was {short(failure.raw)}; "
                'a block with `on_error = "score_zero"` goes on all the same'
            )
        except DspecError:
            return error
        return error

    async def _evaluate(
        self, program: Program, rows: Sequence[Example], label: str, told: Told | None, *, must_read: bool
    ) -> Evaluation:
        asked, keys = self._tasks(program, rows)
        known = self._store.lookup(keys)
        # All at once and before anything is awaited, so that whose runs they are is no matter of time.
        own = [self._claim(key) for key in keys]
        results = Gathered(
            rows, self.max_errors, label, self._report, told, must_read=must_read, nothing=self._nothing
        )
        self._report(ScoringStarted(label, len(rows)))
        await self._replay(program, rows, keys, known)
        for place, key in enumerate(keys):
            if key in known:
                results.uses[place].append(RunUse("task", key, known[key], own[place]))
                if self._judges is None:
                    results.take(place, self._row(rows[place], known[key]))
        pending = [place for place, key in enumerate(keys) if self._judges is not None or key not in known]

        async def one(place: int, turn: Turn) -> RowResult | MetricError:
            result = known.get(keys[place])
            if result is None:
                result = await self._run(keys[place], asked[place], rows[place], "task", 0, None, turn)
                turn.uses.append(RunUse("task", keys[place], result, own[place]))
            return await self._scored(rows[place], result, turn)

        return await self._in_turn(pending, one, results)

    def _tasks(self, program: Program, rows: Sequence[Example]) -> tuple[list[Program], list[bytes]]:
        """For each row the program that it is put to, which shows no demo made of it, and the key of that run."""
        keyed = ProgramKey(program)
        asked = [left_out(program, row.inputs) for row in rows]
        keys = [
            keyed.run(self._inputs_digest(row), sample=0, temperature=None, left_out=one is not program)
            for row, one in zip(rows, asked, strict=True)
        ]
        return asked, keys

    async def _replay(
        self, program: Program, rows: Sequence[Example], keys: Sequence[bytes], known: dict[bytes, RunResult]
    ) -> None:
        """Adds to the `known` runs those that take kept answers alone: a whole run, with its task and its turn, costs three
        times as much. Where many rows in a row have none, there are hardly more: it is given up."""
        way = straight(program)
        if way is None:
            return
        lacking = {key: row.inputs for key, row in zip(keys, rows, strict=True) if key not in known}
        outcomes = replayed(
            way, lacking.values(), self._engine.kept, used=partial(self._engine.replayed, way.lm)
        )
        without = 0
        for count, (key, outcome) in enumerate(zip(lacking, outcomes, strict=True), 1):
            if outcome is None:
                without += 1
                if without == _WITHOUT:
                    return
                continue
            without = 0
            flaws = sum((step.flaws for step in outcome.trace), Flaws())
            known[key] = result = RunResult.of(outcome.outputs, outcome.trace, None, outcome.used, flaws)
            self._store.put(key, result)
            self._made.add(key)
            if count % _REPLAYED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _evaluate_votes(
        self, ensemble: Ensemble, rows: Sequence[Example], label: str, told: Told | None
    ) -> Evaluation:
        votes = Votes(ensemble)
        results = Gathered(rows, self.max_errors, label, self._report, told, nothing=self._nothing)
        self._report(ScoringStarted(label, len(rows)))

        async def one(place: int, turn: Turn) -> RowResult | MetricError:
            result = await votes.result(rows[place], self._member("task", 0, None, turn))
            return await self._scored(rows[place], result, turn)

        return await self._in_turn(range(len(rows)), one, results)

    def _member(self, purpose: Purpose, sample: int, temperature: float | None, turn: Turn) -> Run:
        """How an ensemble has one of its members run, and a metric its judges: each run is kept by itself, and
        noted among what the turn needed."""

        async def run(program: Program, keyed: ProgramKey, example: Example) -> RunResult:
            asked = left_out(program, example.inputs)
            hidden = asked is not program
            key = self._key(keyed, example, purpose, sample, temperature, left_out=hidden)
            result = self._store.lookup([key]).get(key)
            if result is None:
                result = await self._run(key, asked, example, purpose, sample, temperature, turn)
            turn.uses.append(RunUse(purpose, key, result))
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
            votes = Votes(program)
            result = await self._alone(
                lambda turn: votes.result(example, self._member("teacher", sample, temperature, turn))
            )
        else:
            result = await self._once(program, example, "teacher", sample, temperature)
        if result.outputs is None:
            return Attempt(example, None, (), None, _reason(result), unreadable=result.unread)
        outputs = result.outputs
        try:
            if self._judges is None:
                verdict = score_row(self._metric, example.row, outputs, example.index)
            else:
                verdict = await self._alone(lambda turn: self._verdict(example, outputs, turn))
        except MetricError as error:
            return Attempt(example, outputs, result.trace, None, error.message, True)
        if isinstance(verdict, RunResult):
            return Attempt(example, None, (), None, _reason(verdict))
        return Attempt(example, outputs, result.trace, verdict)

    async def embed(self, lm: LM, texts: Sequence[str]) -> list[list[float] | Halt]:
        """The texts' embeddings, all asked for at the same time, or the halts in their place."""

        async def one(text: str) -> list[float]:
            request = Request(lm, (Message("user", text),), kind="embedding")
            key = hashlib.sha256(f"embedding|{request.identity()}".encode()).digest()

            async def made(turn: Turn) -> list[float]:
                meter = self._meter(turn, urgent=True)
                completion = await meter.complete(request)
                turn.uses.append(RunUse("teacher", key, RunResult.of(None, spent=meter.used)))
                return read_vector(completion.answer.text)

            return await self._alone(made)

        return await together([one(text) for text in texts])

    async def took(self, program: Runnable, rows: Sequence[Example]) -> tuple[Spent, int]:
        """What runs on these rows took that were made before, and how many those are. Nothing is asked."""
        spent, runs = Spent(), 0
        if not isinstance(program, Ensemble):
            _, keys = self._tasks(program, rows)
            known = self._store.lookup(keys)
            found = [known[key].spent for key in keys if key in known]
            return sum(found, spent), len(found)
        votes = Votes(program)
        for row in rows:
            each: list[Spent] = []

            async def remembered(
                member: Program, keyed: ProgramKey, example: Example, each: list[Spent] = each
            ) -> RunResult:
                hidden = left_out(member, example.inputs) is not member
                key = self._key(keyed, example, "task", 0, None, left_out=hidden)
                result = self._store.lookup([key])[key]
                each.append(result.spent)
                return result

            try:
                await votes.result(row, remembered)
            except KeyError:
                continue
            spent, runs = sum(each, spent), runs + 1
        return spent, runs

    @property
    def wall(self) -> Wall | None:
        """The budget that pays for what is asked for here."""
        return self._wall

    def trained(self, usd: float | None) -> None:
        """Counts a training's money."""
        self.spent.training += Spent(cost=pico(usd)) if usd is not None else Spent(unpriced=1)

    async def ask(
        self, program: Program, inputs: Row, *, sample: int = 0, temperature: float | None = None
    ) -> Row | None:
        """One run that nobody scores: a question to the model that writes instructions.

        None when its answer cannot be used, even after it was asked again.
        """
        return (await self._once(program, Example(0, inputs, {}), "prompt", sample, temperature)).outputs

    async def _once(
        self, program: Program, example: Example, purpose: Purpose, sample: int, temperature: float | None
    ) -> RunResult:
        """One run in a slot of its own, where it is not in the store."""
        key = self._key(ProgramKey(program), example, purpose, sample, temperature)
        result = self._store.lookup([key]).get(key)
        if result is not None:
            self._count([RunUse(purpose, key, result)])
            return result

        async def made(turn: Turn) -> RunResult:
            result = await self._run(key, program, example, purpose, sample, temperature, turn)
            turn.uses.append(RunUse(purpose, key, result))
            return result

        return await self._alone(made)

    async def _alone(self, work: Callable[[Turn], Awaitable[Result]]) -> Result:
        """What some work gives that is no row of an evaluation, in a slot of its own; what it needed is counted.

        Raises what the work raises, and ProviderError where its runs show that an endpoint is gone.
        """
        async with self._slots:
            turn = self._turns.next()
            try:
                result = await work(turn)
                await turn.verdict()
                return result
            finally:
                turn.end()
                self._count(turn.uses)

    async def _in_turn(
        self,
        places: Sequence[int],
        one: Callable[[int, Turn], Awaitable[RowResult | MetricError]],
        results: Gathered,
    ) -> Evaluation:
        """Run `one` for every place that is needed with bounded tasks, and count and give what comes of them.

        At the budget's wall, or a stop, nothing more is started and what is in flight is kept; any other failure
        cancels what lies beyond it.
        """
        waiting = deque(places)
        at: dict[asyncio.Task[None], tuple[int, Turn]] = {}
        """The row that each task is at."""
        begun = 0

        def wanted() -> bool:
            return bool(waiting) and waiting[0] <= results.last

        def begin() -> tuple[int, Turn]:
            place = waiting.popleft()
            return place, self._turns.next(results.uses[place])

        async def work(place: int, turn: Turn) -> None:
            """One after the other: a task of its own for every row would cost 5 % of what a call costs."""
            own = asyncio.current_task()
            assert own is not None
            while True:
                outcome: RowResult | Exception
                try:
                    outcome = await one(place, turn)
                    if self._failures:
                        await turn.verdict()
                except Exception as error:  # noqa: BLE001  # whichever it is, the rows before it come first
                    outcome = error
                turn.end()
                if results.take(place, outcome):
                    for task, (other, _) in at.items():
                        if other > results.last:
                            task.cancel()
                if not wanted() or self._slots.wanted:
                    return
                place, turn = at[own] = begin()

        def over(task: asyncio.Task[None]) -> None:
            # Not in a `finally` of the task: one cancelled before it began would never get there.
            _, turn = at.pop(task)
            turn.end()
            self._slots.release()

        try:
            # The lock is free when the last row has started; the group ends when the last has ended.
            async with asyncio.TaskGroup() as group, self._starting:
                while wanted():
                    await self._slots.acquire()
                    if not wanted():
                        self._slots.release()
                        break
                    place, turn = begin()
                    task = group.create_task(work(place, turn))
                    at[task] = place, turn
                    task.add_done_callback(over)
                    begun += 1
                    if begun % _BEGUN_AT_ONCE == 0:
                        await asyncio.sleep(0)
        finally:
            self._store.flush()
        self._count(results.counted())
        found = results.complete()
        for row in found.rows:
            if row.metric_failed and row.reason is not None:
                self.failed.setdefault(row.index, row.reason)
        return found

    async def _run(
        self,
        key: bytes,
        program: Program,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
        turn: Turn,
    ) -> RunResult:
        """The run's result: from whoever is making the same run right now, else by making it."""
        while (shared := self._running.get(key)) is not None:
            await asyncio.wait([shared])
            if not shared.cancelled():
                if isinstance(error := shared.exception(), ProviderError):
                    raise self._final(error, purpose, example) from error
                return shared.result()
        if key in self._made and (known := self._store.lookup([key]).get(key)) is not None:
            return known  # made since the caller looked
        if (unanswered := self.unanswered.get(key)) is not None:
            return unanswered
        future: asyncio.Future[RunResult] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            result = await self._execute(program, example, purpose, sample, temperature, turn)
            broken = result.error is not None and result.error[0] == FunctionFailed.__name__
            failed = (
                purpose == "judge" and result.error is not None and result.error[0] == ToolFailed.__name__
            )
            if broken and self._on_error == "stop":
                raise self._broken(_reason(result), example)
        except ProviderError as error:
            if self._on_error == "stop" or purpose == "prompt" or isinstance(error, Unauthorized):
                future.set_exception(error)  # whoever waits for this run has no luck by asking again
                future.exception()  # seen, even when nobody waits
                raise self._final(error, purpose, example) from error
            self._failures[key] = error
            result = self.unanswered[key] = RunResult.of(
                None, (), (UNANSWERED, error.message), error.spent or Spent()
            )
        except BaseException:
            future.cancel()
            raise
        else:
            if not (
                broken or failed
            ):  # the next compile asks again: what a function needs may be there by then
                self._store.put(key, result)
                self._made.add(key)
        finally:
            del self._running[key]
        future.set_result(result)
        return result

    def _broken(self, reason: str, example: Example) -> FunctionFailed:
        return FunctionFailed(
            f"row {example.index + 1} of `{self._metric.dataset}`: {reason}",
            help="every answer so far is kept, and the same command goes on once the function is right; or "
            '`on_error = "score_zero"` in the block, to which its evals keep, too, lets such rows score 0',
        )

    def _final(self, error: ProviderError, purpose: Purpose, example: Example) -> ProviderError:
        """The error as it ends the compile. A refused request, which would be refused again, is told with its row; a key to
        see to, or a bill, fails for every row alike."""
        if not isinstance(error, Refused) or purpose not in ("task", "teacher", "judge"):
            return copy.copy(error)
        help_text = (
            "every answer so far is kept; this row stops the same command again until it is changed or left out, or "
            '`on_error = "score_zero"` in the block, to which its evals keep, too, lets such rows score 0'
        )
        return type(error)(
            f"row {example.index + 1} of `{self._metric.dataset}`: {error.message}",
            help="; ".join(filter(None, [error.help, help_text])),
        )

    async def _execute(
        self,
        program: Program,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
        turn: Turn,
    ) -> RunResult:
        # Rows to be scored can be asked in any order; what an attempt or a proposal brings, others wait for.
        meter = self._meter(turn, urgent=purpose in ("teacher", "prompt"))
        return await self._execute_run(program, example.inputs, meter, sample=sample, temperature=temperature)

    def _meter(self, turn: Turn, *, urgent: bool) -> PaidMeter:
        purse = None if self._wall is None else self._wall.purse(turn.order)
        return PaidMeter(self._engine, purse, urgent=urgent)

    def _row(self, example: Example, result: RunResult) -> RowResult | MetricError:
        """What a metric without judges says of a run; with judges, of one that has no outputs."""
        if result.outputs is None:
            return RowResult(
                example.index,
                self._nothing(example),
                None,
                _reason(result),
                unanswered=result.unanswered,
                unreadable=result.unread,
            )
        try:
            verdict = score_row(self._metric, example.row, result.outputs, example.index)
        except MetricError as error:
            return error
        return RowResult(example.index, verdict.score, result.outputs, None, verdict.feedback)

    async def _scored(self, example: Example, result: RunResult, turn: Turn) -> RowResult | MetricError:
        if self._judges is None or result.outputs is None:
            return self._row(example, result)
        try:
            verdict = await self._verdict(example, result.outputs, turn)
        except MetricError as error:
            return error
        if isinstance(verdict, RunResult):
            return self._row(example, verdict)
        return RowResult(example.index, verdict.score, result.outputs, None, verdict.feedback)

    async def _verdict(self, example: Example, outputs: Row, turn: Turn) -> Verdict | RunResult:
        """What the metric says; the run of a judge that never answered, where `on_error` makes a result of it."""
        assert self._judges is not None
        return await self._judges.verdict(example, outputs, self._member("judge", 0, None, turn))

    def _nothing(self, example: Example) -> float:
        """What a row scores that has no answer, or on which the metric failed."""
        return nothing(self._metric, example.row)

    def _claim(self, key: bytes) -> bool:
        """Whether the caller is the one who counts the run: the first who claims it."""
        if key in self._claimed:
            return False
        self._claimed.add(key)
        return True

    def _count(self, uses: Iterable[RunUse]) -> None:
        """Adds up the runs that nobody has counted."""
        for purpose, key, result, mine in uses:
            if mine or self._claim(key):
                self.spent.add(purpose, result.spent, result.flaws)
                if purpose in ("task", "teacher"):
                    self.tools.add(
                        result.trace, ended=result.error is not None and result.error[0] in _OF_TOOLS
                    )

    def _key(
        self,
        keyed: ProgramKey,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
        *,
        left_out: bool = False,
    ) -> bytes:
        of_data = purpose in ("task", "teacher")
        inputs = self._inputs_digest(example) if of_data else digest(example.inputs)
        return keyed.run(inputs, sample=sample, temperature=temperature, left_out=left_out)

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
