"""A loaded program whatever its types: how it is called, and what all ways to call it share.

Calls run on one background event loop, so they work the same from plain code, from inside a running loop and from several
threads. The settings of a call hold for that call alone; a view (`with_lm`) has settings of its own and shares everything
else with the program that it was made of: engine, limits, cache, history.
"""

from __future__ import annotations

import asyncio
import copy
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast, overload

from ..adapters.turns import turn_media
from ..arguments import KeySource, keys_of, limit_of, per_model, seconds_of, threads_of
from ..errors import ConfigurationError, DspecError, InputError, TimedOut
from ..models.background import background
from ..models.engine import Engine
from ..schema.ensemble import Runnable, programs
from ..schema.program import FieldSpec
from ..schema.types import Row
from ..schema.usage import Spent, Usage
from ..values.media import Blob, is_history, medium_kind
from .bringing import Given, brought
from .calllog import CallLog
from .execute import Outcome, run
from .feedback import feedback_of
from .inspecting import Prompt, prompts_of
from .overriding import LIMITS, Keys, Limit, Overrides, PerModel, configured
from .prediction import CallUsage, Prediction, TypedPrediction, seen
from .recording.recorder import RecordCounts
from .records import CallRecord
from .replaying import Straight, replayed, straight
from .serving import Serving
from .streaming import StreamEvent, Tell
from .streams import AnswerStream, AsyncAnswerStream

if TYPE_CHECKING:
    from typing import Self

Value = TypeVar("Value")
Inputs = TypeVar("Inputs", bound=Mapping[str, object], contravariant=True)
ResultT = TypeVar("ResultT", bound=TypedPrediction, covariant=True)
PartialT = TypeVar("PartialT", covariant=True)
Progress = Callable[[int, int], None]
"""Told how many of how many rows are done."""
_HITS_BETWEEN_YIELDS = 64
"""So many calls in a row are answered on the loop before others have their turn."""


class ProgramSource(Protocol):
    """What a program was loaded from."""

    @property
    def name(self) -> str: ...

    @property
    def program(self) -> Runnable:
        """As it is there."""
        ...


@dataclass(frozen=True)
class CallSettings:
    """What a program is asked with, where a call says nothing else."""

    program: Runnable
    said: Overrides = field(default_factory=Overrides)
    timeout: float | None = None
    temperature: float | None = None

    @cached_property
    def way(self) -> Straight | None:
        """How a run goes that kept answers alone can answer."""
        return straight(self.program)


class CallableProgram(Generic[Inputs, ResultT, PartialT]):
    """A loaded program. `Application` takes any inputs by name; classes that `dspc stubs` writes know their types."""

    result: ClassVar[type[TypedPrediction]] = Prediction
    """What calls give."""
    shape: ClassVar[tuple[str, ...]] = ()
    """The inputs, outputs and records that a class was made for, a line each; none of one that fits any program."""

    def __init__(self, source: ProgramSource, view: CallSettings, serving: Serving, log: CallLog) -> None:
        self._source = source
        self._view = view
        self._serving = serving
        self._log = log
        self._views: dict[object, Runnable] = {}
        self._reads = any(medium_kind(one.type) or is_history(one.type) for one in view.program.inputs)
        """Whether an input may be large."""
        self._turns = turn_media(programs(view.program))
        self._hits = 0
        """Calls that kept answers alone answered on the loop."""

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def program(self) -> Runnable:
        """On its models as they are asked."""
        return self._view.program

    @property
    def inputs(self) -> tuple[FieldSpec, ...]:
        return self.program.inputs

    @property
    def outputs(self) -> tuple[FieldSpec, ...]:
        return self.program.outputs

    @property
    def serving(self) -> Serving:
        """What makes engines for this program, for whoever runs it by other means than calls."""
        return self._serving

    @property
    def usage(self) -> CallUsage:
        """What all calls took so far, those of views included. Tokens and cost also count calls that failed in the end."""
        return self._log.usage

    def history(self, n: int | None = None) -> list[CallRecord]:
        """The last calls, the latest at the end: `n` of them, or all that are kept (`load(history=…)`)."""
        return self._log.last(sys.maxsize if n is None else n)

    @property
    def is_recorded(self) -> bool:
        """Whether its calls are recorded."""
        return self._log.recorder is not None

    @property
    def recorded(self) -> RecordCounts:
        """What became of this process's records so far (`load(record=…)`): all 0 where nothing is recorded."""
        recorder = self._log.recorder
        return RecordCounts() if recorder is None else recorder.counts

    def feedback(
        self,
        call: str | TypedPrediction | CallRecord,
        *,
        score: float | None = None,
        comment: str | None = None,
        label: Given = None,
        outputs: Mapping[str, Given] | None = None,
    ) -> None:
        """Keeps what somebody says of a recorded call, whichever process made it. `call` is its id, or what it gave.

        `score` says how good it was, 0 to 1, True and False among them. `outputs` are those that would have been right, by their
        names, and `label` is the one of a program that has only one. What is said later of the same call counts in the
        place of what was said before. It is written with the calls, and waits for nothing: whether there is such a call in
        the file shows when it is read. Of a call that was not chosen to be recorded nothing is kept.

        Raises InputError for what fits no call of this program, ConfigurationError where nothing is recorded.
        """
        recorder = self._log.recorder
        if recorder is None:
            raise ConfigurationError(
                "feedback has no call to go with: this program does not record its calls",
                help='say where: load(…, record="recorded.sqlite")',
            )
        said = feedback_of(self.program, call, score, comment, label, outputs)
        recorder.add_feedback(said.call, said.score, said.comment, said.outputs)

    def with_lm(
        self,
        lm: PerModel = None,
        *,
        api_base: PerModel = None,
        api_key_env: PerModel = None,
        api_key: KeySource | Mapping[str, KeySource] | None = None,
        timeout: float | None = None,
        temperature: float | None = None,
        retry: int | Mapping[str, int] | None = None,
        rpm: int | Mapping[str, int] | None = None,
        tpm: int | Mapping[str, int] | None = None,
        max_parallel: int | Mapping[str, int] | None = None,
        attempt_timeout: float | Mapping[str, float] | None = None,
    ) -> Self:
        """The same program on other models, or asked otherwise; what is not said stays. The arguments are those of `load`.

        Connections, limits, cache and history are shared; with another `api_key` only cache and history are. Raises
        ConfigurationError as `load` does.
        """
        limits = dict(self._view.said.limits)
        given = {
            "retry": retry,
            "rpm": rpm,
            "tpm": tpm,
            "max_parallel": max_parallel,
            "attempt_timeout": attempt_timeout,
        }
        limits.update(limits_of(given))
        said = Overrides(
            self._view.said.lm if lm is None else per_model("lm", lm),
            self._view.said.api_base if api_base is None else per_model("api_base", api_base),
            self._view.said.api_key_env if api_key_env is None else per_model("api_key_env", api_key_env),
            limits,
        )
        view = CallSettings(
            configured(self._source.program, said),
            said,
            self._view.timeout if timeout is None else seconds_of("timeout", timeout),
            self._view.temperature if temperature is None else limit_of("temperature", temperature, least=0),
        )
        serving = self._serving
        if api_key is not None:
            serving = Serving(
                threads=serving.threads,
                cache=serving.cache,
                tools=serving.make_tools,
                keys=Keys(view.program, keys_of("api_key", api_key)).of,
                on_event=serving.on_event,
            )
        return type(self)(self._source, view, serving, self._log)

    @overload
    def batch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> list[ResultT]: ...
    @overload
    def batch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: Literal[True],
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> list[ResultT | DspecError]: ...
    def batch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: bool = False,
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> list[ResultT] | list[ResultT | DspecError]:
        """A run for each row, results in the rows' order. `threads` calls of models are in flight at most, unless said as many
        as `load` was told.

        With `return_exceptions` a row that fails gives its error in place of a prediction; otherwise the error of the first
        failing row is raised and rows not yet started are dropped. An error says which row it was (`error.row`, from 0).
        `progress` draws a line on standard error, or is told how many of how many rows are done, on another thread.
        `timeout` is for each row.
        """
        view = self._viewed(lm, timeout, temperature)
        given = _listed(rows, threads)
        kept = self._replayed(given, view) if progress is False else []
        if len(kept) == len(given) and progress is False:
            return kept
        return self._wait(self._many(given, threads, view, kept, keep=return_exceptions, progress=progress))

    @overload
    async def abatch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,  # noqa: ASYNC109
        temperature: float | None = None,
    ) -> list[ResultT]: ...
    @overload
    async def abatch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: Literal[True],
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,  # noqa: ASYNC109
        temperature: float | None = None,
    ) -> list[ResultT | DspecError]: ...
    async def abatch(
        self,
        rows: Iterable[Inputs],
        *,
        threads: int | None = None,
        return_exceptions: bool = False,
        progress: bool | Progress = False,
        lm: PerModel = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it is for each row, and raises an error of ours
        temperature: float | None = None,
    ) -> list[ResultT] | list[ResultT | DspecError]:
        """As `batch`, without blocking the caller's event loop."""
        view = self._viewed(lm, timeout, temperature)
        given = _listed(rows, threads)
        work = self._many(given, threads, view, [], keep=return_exceptions, progress=progress)
        return await asyncio.wrap_future(background().submit(work))

    def close(self) -> None:
        """Closes connections, the cache and what is recorded, which is written first. The next call opens them again."""
        if self._serving.opened:
            self._wait(self._serving.aclose())
        if self._log.recorder is not None:
            self._log.recorder.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        takes = ", ".join(spec.name for spec in self.inputs)
        gives = ", ".join(spec.name for spec in self.outputs)
        return f"<dspec program {self.name}({takes}) -> ({gives})>"

    def call(
        self,
        inputs: Inputs,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> ResultT:
        """One run, the inputs in a mapping: whatever they are called, none of them is taken for a setting. Raises InputError,
        AnswerError or ProviderError (`dspec.errors`), ConfigurationError for the settings."""
        view = self._viewed(lm, timeout, temperature)
        found = self._replayed((inputs,), view)
        return found[0] if found else self._wait(self._run(inputs, view, tried=True))

    async def run_here(self, inputs: Inputs) -> ResultT:
        """As `call`, for whoever is on the loop that all applications share (`models.background`): without a hop between
        threads."""
        return await self._run(inputs, self._view)

    def astream_of(self, inputs: Inputs) -> AsyncAnswerStream[ResultT, PartialT]:
        """As `astream`, the inputs in a mapping: whatever they are called, none of them is taken for a setting."""
        return self._astream(inputs)

    # For `Application` and for classes that `dspc stubs` writes, which name the inputs ---------------------

    async def _acall(
        self,
        inputs: Inputs,
        lm: PerModel = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it raises an error of ours
        temperature: float | None = None,
    ) -> ResultT:
        work = self._run(inputs, self._viewed(lm, timeout, temperature))
        return await asyncio.wrap_future(background().submit(work))

    def _stream(
        self,
        inputs: Inputs,
        inner: bool = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> AnswerStream[ResultT, PartialT]:
        return AnswerStream(
            partial(self._begin, inputs, self._viewed(lm, timeout, temperature), inner),
            partial(seen, self.result),
        )

    def _astream(
        self,
        inputs: Inputs,
        inner: bool = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
    ) -> AsyncAnswerStream[ResultT, PartialT]:
        return AsyncAnswerStream(
            partial(self._begin, inputs, self._viewed(lm, timeout, temperature), inner),
            partial(seen, self.result),
        )

    async def _brought(self, inputs: Mapping[str, Given]) -> tuple[Row, list[Blob]]:
        """The inputs as values, where they may be large: read in a thread."""
        return await asyncio.to_thread(brought, self.inputs, inputs, self._turns)

    def _inspect(self, inputs: Inputs) -> list[Prompt]:
        view = self._view

        async def work() -> list[Prompt]:
            row, held = await self._brought(cast("Mapping[str, Given]", inputs))
            prompts = await prompts_of(view.program, row, view.temperature)
            del held
            return prompts

        return self._wait(work())

    # -----------------------------------------------------------------------------------------------------

    def _viewed(self, lm: PerModel, timeout: float | None, temperature: float | None) -> CallSettings:
        """The settings of one call. Raises ConfigurationError."""
        if lm is None and timeout is None and temperature is None:
            return self._view
        view = self._view
        if lm is not None:
            lm = per_model("lm", lm)
            key = lm if isinstance(lm, str) or lm is None else tuple(lm.items())
            program = self._views.get(key)
            if program is None:
                program = configured(self._source.program, replace(view.said, lm=lm))
                if len(self._views) >= 64:
                    self._views.clear()
                self._views[key] = program
            view = replace(view, program=program)
        if timeout is not None:
            view = replace(view, timeout=seconds_of("timeout", timeout))
        if temperature is not None:
            view = replace(view, temperature=limit_of("temperature", temperature, least=0))
        return view

    def _begin(self, inputs: Inputs, view: CallSettings, inner: bool, tell: Tell) -> Future[ResultT]:
        def told(event: StreamEvent) -> None:
            if inner or event.output:
                tell(event)

        return background().submit(self._run(inputs, view, None, told))

    def _wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        future = background().submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _replayed(self, rows: Sequence[Inputs], view: CallSettings) -> list[ResultT]:
        """Runs of the first rows, as many as take kept answers alone; nothing is noted of the others."""
        ledger = self._serving.kept
        way = view.way
        if ledger is None or way is None or self._reads or self._log.told:
            return []
        given: list[Row] = []

        def each() -> Iterator[Row]:
            for inputs in rows:
                named = cast("Mapping[str, Given]", inputs)
                if type(inputs) is dict and way.takes_as_texts(named):
                    row = cast("Row", dict(named))
                else:
                    try:
                        row, _ = brought(self.inputs, named)
                    except DspecError:
                        return
                given.append(row)
                yield row

        found: list[ResultT] = []
        began, clock = time.time(), time.perf_counter()
        outcomes = replayed(way, each(), ledger.get_all_beside, temperature=view.temperature, record=True)
        for place, outcome in enumerate(outcomes):
            if outcome is None:
                break
            call = os.urandom(16).hex()
            prediction = self.result(outcome, call)
            now = time.perf_counter()
            record = CallRecord(call, self._source.name, given[place], began, now - clock, prediction, None)
            began, clock = began + now - clock, now
            self._log.add(record, outcome.paid)
            found.append(cast("ResultT", prediction))
        return found

    async def _run(
        self,
        inputs: Inputs,
        view: CallSettings,
        engine: Engine | None = None,
        tell: Tell | None = None,
        *,
        tried: bool = False,
    ) -> ResultT:
        """One run on the loop. With `tried`, kept answers alone are known not to do."""
        if not tried and tell is None and (found := self._replayed((inputs,), view)):
            self._hits += 1
            if self._hits % _HITS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
            return found[0]
        began, clock = time.time(), time.perf_counter()
        call = os.urandom(16).hex()
        row: Row = {}
        try:
            given = cast("Mapping[str, Given]", inputs)
            row, held = await self._brought(given) if self._reads else brought(self.inputs, given)
            work = run(
                view.program,
                row,
                engine or self._serving.open(),
                temperature=view.temperature,
                record=True,
                tell=tell,
            )
            outcome = await (work if view.timeout is None else _in_time(work, view.timeout))
            del held  # what was passed is held till here
        except DspecError as error:
            seconds = time.perf_counter() - clock
            record = CallRecord(call, self._source.name, row, began, seconds, None, error)
            self._log.add(record, _paid(error))
            raise
        prediction = self.result(outcome, call)
        seconds = time.perf_counter() - clock
        self._log.add(
            CallRecord(call, self._source.name, row, began, seconds, prediction, None), outcome.paid
        )
        return cast("ResultT", prediction)

    async def _many(
        self,
        rows: Sequence[Inputs],
        threads: int | None,
        view: CallSettings,
        kept: Sequence[ResultT],
        *,
        keep: bool,
        progress: bool | Progress,
    ) -> list[ResultT | DspecError]:
        """Runs the rows after the first ones, whose results are `kept`."""
        at_once = self._serving.wide(threads)
        engine = self._serving.open()
        done = len(kept)
        results: list[ResultT | DspecError | None] = [*kept, *[None] * (len(rows) - done)]
        places = iter(range(done, len(rows)))
        failed = False
        tell = _drawn if progress is True else progress or None

        async def work() -> None:
            nonlocal failed, done
            for place in places:
                if failed and not keep:
                    return
                try:
                    results[place] = await self._run(rows[place], view, engine)
                except DspecError as error:
                    results[place] = _of_row(error, place)
                    failed = True
                done += 1
                if tell is not None:
                    tell(done, len(rows))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(rows) - done)):
                group.create_task(work())
        if not keep:
            for result in results:
                if isinstance(result, DspecError):
                    raise result
        return [result for result in results if result is not None]


def limits_of(given: Mapping[str, object]) -> dict[str, Limit]:
    """How models are to be asked, by the names in `LIMITS`; what is None is not said. Raises ConfigurationError."""
    found: dict[str, Limit] = {}
    for name, value in given.items():
        if value is None:
            continue
        whole = LIMITS[name] != "timeout"
        if isinstance(value, Mapping):
            named = cast("Mapping[object, object]", value)
            found[name] = {
                str(key): limit_of(f"{name}[{key!r}]", one, least=0 if name == "retry" else 1e-3, whole=whole)
                for key, one in named.items()
            }
        else:
            found[name] = limit_of(name, value, least=0 if name == "retry" else 1e-3, whole=whole)
    return found


async def _in_time(work: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise TimedOut(
            f"no result within {seconds:.3g} s, and the call was given up",
            help="`timeout` is for the whole call, with all of its steps, tries and waits; raise it if that takes longer",
        ) from None


def _of_row(error: DspecError, place: int) -> DspecError:
    """The error as that of one row. Rows that ask the same share what they are answered, so it is one of its own."""
    told = copy.copy(error).within(f"rows[{place}]")
    told.row = place
    told.__cause__ = error.__cause__
    told.__suppress_context__ = True
    return told.with_traceback(error.__traceback__)


def _paid(error: DspecError) -> Spent:
    """What the calls took of a run that failed, as far as its trace tells."""
    spent = Spent()
    for step in error.trace:
        for call in step.asked:
            if not call.error:
                spent += Spent.of(Usage(call.input_tokens, call.output_tokens), call.cost)
    return spent


def _listed(rows: Iterable[Inputs], threads: int | None) -> list[Inputs]:
    """The rows of a batch that is to have so many calls in flight. Raises InputError for what has none, ConfigurationError for
    what is no such number."""
    if threads is not None:
        threads_of(threads)
    if not isinstance(rows, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # it is what an application passed
        raise InputError(f"a batch takes rows, each a mapping of inputs, not `{type(rows).__name__}`")
    return list(rows)


def _drawn(done: int, total: int) -> None:
    """One line that is written over, as a terminal and a notebook show it."""
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{done:,} of {total:,} rows{end}")
    sys.stderr.flush()


def check_shape(kind: type[CallableProgram[Any, Any, Any]], shape: Sequence[str], name: str) -> None:
    """Raises ConfigurationError where a class was made for other inputs, outputs or records than a program has."""
    if not kind.shape or tuple(shape) == kind.shape:
        return
    gone = [line for line in kind.shape if line not in shape]
    new = [line for line in shape if line not in kind.shape]
    differences = [f"{line} (no more)" for line in gone] + [f"{line} (new)" for line in new]
    raise ConfigurationError(
        f"`{kind.__name__}` was made for another version of {name}: {'; '.join(differences[:6]) or 'their order differs'}",
        help="make it anew with `dspc stubs`",
    )
