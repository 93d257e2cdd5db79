"""The driver's side of workers: gives them runs and attempts, and answers what their runs ask from its own engine.

Everything that must be known in one place stays here: ledger, store, limits, budget, and what a run is given. A worker that is
gone loses what it was at, and nothing else. Its runs begin again on another one: what was answered by then is in the ledger.
Its attempts are asked once more by the engine, which counts what they may have cost (`WorkerLost`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, cast

from msgspec import Struct

from dspec.runtime.errors import ConfigurationError, WorkerLost
from dspec.runtime.models.compact import compact
from dspec.runtime.models.endpoints import Endpoint, Kind
from dspec.runtime.models.protocol import Answer, Request, ToolUse, Transport
from dspec.runtime.models.transports import open_transport
from dspec.runtime.schema.identity import Same
from dspec.runtime.schema.program import Program, Tool
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.tools.base import Ground, OpenTool, ToolProblem
from dspec.runtime.values.media import media_in

from ..meter import PaidMeter, metered
from ..store import RunResult, read_run, runtime_fingerprint
from . import wire
from .code import code_digest
from .peer import Peer
from .processes import LineProcess, OpenHost, ProcessOrder, start_here, start_there
from .worker import GATHERING

_LOG = logging.getLogger("dspec")
TRIES = 4
"""How often one run may lose its worker before it is taken to be the reason."""
LOSSES = 12
"""Workers that may be lost, or not be had, in a row, without one run that came to its end."""
KEPT = 64
"""Programs that a worker keeps, and more where more are at work."""
STARTING = 120.0
"""Seconds for which it is waited for a worker where there is none."""
_PAUSE = 0.5
"""Seconds before a worker that could not be had is tried again, times how often that was."""


class LinkLost(Exception):
    """The worker at the other end is gone; the text says what is known of it."""


class WorkerLink(Protocol):
    """The way to one worker (`Worker`). Raises LinkLost once that is gone."""

    async def take(self, lines: bytes) -> None: ...

    async def give(self) -> bytes: ...

    async def aclose(self) -> None:
        """Ends the worker, whatever it does. Idempotent."""
        ...


OpenLink = Callable[[], Awaitable[WorkerLink]]
"""Starts a worker. Raises LinkLost where none could be had now, ConfigurationError where none ever can."""


class Workers:
    """So many workers, which are replaced when they are lost. Used from one event loop.

    `run` is how a compile makes its runs (`meter.Execute`); an engine has them for its `senders`.
    Life cycle: an async context, around that of the engine.
    """

    def __init__(self, open_link: OpenLink, number: int, open_host: OpenHost | None = None) -> None:
        self._open_link = open_link
        self._open_host = open_host
        self._number = number
        self._seats: list[_Seat] = []
        self._changed = asyncio.Event()
        """Set, and replaced, whenever there is another worker, or none ever will be."""
        self._keepers: list[asyncio.Task[None]] = []
        self._meters: dict[int, PaidMeter] = {}
        self._numbers = itertools.count()
        self._programs: OrderedDict[tuple[Same[Any], ...], _Told] = OrderedDict()
        """By their parts, which are held, and so known by identity."""
        self._known: dict[Same[Program], _Told] = {}
        self._endpoints: dict[int, tuple[Endpoint, Kind]] = {}
        self._losses = 0
        self._broken: Exception | None = None

    async def __aenter__(self) -> Workers:
        """Comes back with the first worker; the others join. Raises ConfigurationError where there is none."""
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(self._number)]
        try:
            await self._seat()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []

    def __len__(self) -> int:
        """How many are there now."""
        return len(self._seats)

    async def ready(self) -> None:
        """Comes back when there is one. Raises ConfigurationError where there will be none."""
        await self._seat()

    async def run(
        self, program: Program, inputs: Row, meter: PaidMeter, *, sample: int, temperature: float | None
    ) -> RunResult:
        """`metered`, elsewhere. Raises ConfigurationError besides, where workers are lost again and again."""
        told = self._told(program)
        if told.media or _shows_media(json.dumps(inputs)):
            # The bytes are here; what a worker could do is little beside sending them there.
            return await metered(program, inputs, meter, sample=sample, temperature=temperature)
        hidden = None if program.neighbours is None else program.neighbours.hidden
        last = ""
        for _ in range(TRIES):
            seat = await self._seat()
            number = next(self._numbers)
            self._meters[number] = meter
            try:
                with seat.at(told):
                    found = await seat.peer.ask("run", number, told.key, hidden, inputs, sample, temperature)
            except LinkLost as lost:
                last = str(lost)
                continue
            finally:
                del self._meters[number]
            self._losses = 0
            return read_run(found)
        raise ConfigurationError(
            f"a run of `{program.name}` lost its worker {TRIES} times: {last}",
            help="every answer so far is kept; if the workers ran out of memory, give them more, or have fewer at work "
            "(`--workers`, `--threads`)",
        )

    async def connect(self, endpoint: Endpoint, kind: Kind) -> Transport:
        """A way to the endpoint from every worker. Raises ConfigurationError where it cannot be opened there."""
        number = next(self._numbers)
        self._endpoints[number] = endpoint, kind
        opened = await asyncio.gather(
            *(seat.open(self._endpoints) for seat in self._seats), return_exceptions=True
        )
        for problem in opened:
            if isinstance(problem, BaseException) and not isinstance(problem, LinkLost):
                raise problem
        return _FromWorkers(self, number, partial(open_transport, endpoint, kind))

    def disconnect(self, number: int) -> None:
        del self._endpoints[number]
        for seat in self._seats:
            seat.close(number)

    async def attempt(self, number: int, request: Request) -> Answer:
        """One attempt at the endpoint, by whichever worker has the least to do. Raises WorkerLost with the worker."""
        if not self._seats:
            raise _unsent()
        seat = self._idlest()
        seat.attempts += 1
        try:
            return wire.answer_in(await seat.peer.ask("attempt", number, wire.request_out(request)))
        except LinkLost as lost:
            raise WorkerLost(f"the worker that was asking is gone: {lost}") from None
        finally:
            seat.attempts -= 1

    async def process(self, order: ProcessOrder) -> LineProcess:
        """One that works for long on a machine of its own, such as a training (`processes`). Raises OSError,
        ConfigurationError."""
        return await (start_here(order) if self._open_host is None else start_there(self._open_host, order))

    def moved(self, here: OpenTool, tool: Tool, ground: Ground) -> OpenTool:
        """The project's function, called by workers on whose machines it is (`toolbox.Toolbox`)."""
        try:
            digest = code_digest(ground.root, tool)
        except (OSError, ToolProblem):
            return here  # it says what is wrong where it is called
        return _OnWorkers(self, here, str(ground.root.resolve()), digest, ground.declared)

    async def try_tool(
        self, root: str, digest: str, declared: bool, tool: Tool, arguments: Row
    ) -> dict[str, Any] | None:
        """One try, by whichever worker has the least to do: a value, or a problem; None where it lacks the function. Raises
        ConfigurationError where workers are lost with it again and again."""
        last = ""
        for _ in range(TRIES):
            seat = await self._seat()
            seat.attempts += 1
            try:
                return await seat.peer.ask("tool", root, digest, declared, wire.model_text(tool), arguments)
            except LinkLost as lost:
                last = str(lost)
            finally:
                seat.attempts -= 1
        raise ConfigurationError(
            f"a call of the tool `{tool.name}` lost its worker {TRIES} times: {last}",
            help="every answer so far is kept; without `--engine` the command calls it itself",
        )

    def _told(self, program: Program) -> _Told:
        """The program with every row of its index: which one a run is not shown is said with the run. So programs that differ
        in that alone are one; they share all other parts, by which they are known here."""
        index = program.neighbours
        parts = [getattr(program, name) for name in type(program).model_fields if name != "neighbours"]
        parts += [] if index is None else [getattr(index, name) for name in type(index).model_fields]
        key = tuple(map(Same, parts))
        told = self._programs.get(key)
        if told is None:
            text = compact(program.model_dump(mode="json")).decode()
            digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
            told = self._programs[key] = _Told(digest, text, _shows_media(text))
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        if index is None or index.hidden is None:
            self._known[Same(program)] = told
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        return told

    async def _seat(self) -> _Seat:
        """The worker with the least to do, once there is one."""
        while not self._seats:
            if self._broken is not None:
                raise self._broken
            try:
                async with asyncio.timeout(STARTING):
                    await self._changed.wait()
            except TimeoutError:
                self._break(
                    ConfigurationError(
                        f"no worker was there for {STARTING:.0f} s",
                        help="every answer so far is kept; see whether the cluster runs, and has a CPU that is free and room for "
                        "a process of 200 MB",
                    )
                )
        return self._idlest()

    def _idlest(self) -> _Seat:
        return min(self._seats, key=lambda seat: seat.runs + seat.attempts)

    def _leaves(self, seat: _Seat) -> None:
        """At once, so that nothing more is given to a worker that is gone."""
        if seat in self._seats:
            self._seats.remove(seat)

    async def _keep(self) -> None:
        """Has one worker at work, for as long as that can be."""
        failed = 0
        while self._broken is None:
            try:
                link = await self._open_link()
            except LinkLost as lost:
                failed += 1
                self._lost(lost)
                await asyncio.sleep(_PAUSE * failed)
                continue
            except Exception as error:  # noqa: BLE001  # none can be had: whoever waits for one is told
                self._break(error)
                return
            failed = 0
            seat = _Seat(link, self._served(), self._leaves)
            try:
                async with seat:
                    await self._welcome(seat)
                    if seat.lost is None:
                        self._seats.append(seat)
                        self._notify()
                    await seat.gone.wait()
            except LinkLost:
                pass
            except Exception as error:  # noqa: BLE001  # as above
                self._break(error)
                return
            self._lost(seat.lost or LinkLost("it ended"))

    async def _welcome(self, seat: _Seat) -> None:
        """What comes before a worker's first work. Raises ConfigurationError for one of another version."""
        version, fingerprint, seat.name = await seat.peer.ask("hello")
        if (version, fingerprint) != (wire.WIRE, runtime_fingerprint()):
            raise ConfigurationError(
                f"the worker in {seat.name} has another version of dspec than this command",
                help="install the same version everywhere: with others, results would not be the same",
            )
        await seat.open(self._endpoints)

    def _lost(self, lost: LinkLost) -> None:
        self._losses += 1
        if self._losses > LOSSES:
            self._break(
                ConfigurationError(
                    f"{self._losses} workers in a row were lost, or could not be had, without a result: {lost}",
                    help="every answer so far is kept, and the same command goes on once that is mended",
                )
            )
        else:
            _LOG.warning("a worker is gone (%s); another takes its place, and its work begins again", lost)

    def _break(self, error: Exception) -> None:
        self._broken = self._broken or error
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _served(self) -> dict[str, Callable[..., Any]]:
        return {"complete": self._complete, "call": self._call, "unusable": self._unusable}

    async def _complete(self, run: int, request: list[Any]) -> Any:
        return wire.completion_out(await self._meter(run).complete(wire.request_in(request)))

    def _unusable(self, run: int, request: list[Any]) -> None:
        if (meter := self._meters.get(run)) is not None:
            meter.unusable(wire.request_in(request))

    async def _call(
        self, ask: Callable[..., Awaitable[Any]], run: int, answering: int | None, *parts: Any
    ) -> Any:
        tool, arguments, lms, records = parts
        given = await self._meter(run).call(
            wire.tool_of(tool),
            cast("Row", arguments),
            lms=wire.lms_of(lms),
            records=wire.records_of(records),
            answer=None if answering is None else partial(ask, "answer", answering),
        )
        return wire.tool_answer_out(given)

    def _meter(self, run: int) -> PaidMeter:
        meter = self._meters.get(run)
        if meter is None:
            raise asyncio.CancelledError  # whoever wanted the run has left
        return meter


class _OnWorkers:
    """A function of the project that workers call. What asks back while it runs is called here, where the run is that it asks;
    so is what a worker's machine does not have, or has otherwise."""

    def __init__(self, workers: Workers, here: OpenTool, root: str, digest: str, declared: bool) -> None:
        self._workers = workers
        self._here = here
        self._place = root, digest, declared

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        if use.answer is None:
            found = await self._workers.try_tool(*self._place, tool, arguments)
            if found is not None:
                if (problem := found.get("problem")) is not None:
                    raise wire.problem_in(problem)
                return cast("JsonValue", found["value"])
        return await self._here.call(tool, arguments, use)

    async def aclose(self) -> None:
        await self._here.aclose()


class _Told(Struct, frozen=True):
    """A program as workers are told of it."""

    key: str
    text: str
    media: bool


class _Seat:
    """A worker as the driver sees it, with the messages on their way to it."""

    def __init__(
        self, link: WorkerLink, served: Mapping[str, Callable[..., Any]], leaves: Callable[[_Seat], None]
    ) -> None:
        self.name = "a worker"
        self.runs = 0
        self.attempts = 0
        self.gone = asyncio.Event()
        self.lost: LinkLost | None = None
        self._link = link
        self._leaves = leaves
        self._outbox: list[bytes] = []
        self._filled = asyncio.Event()
        self._programs: OrderedDict[str, int] = OrderedDict()
        """Those that it knows, the last used last, and how many runs of each are at work."""
        self._opened: dict[int, asyncio.Future[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.peer = Peer(
            self._send,
            asked={"complete": served["complete"], "call": partial(served["call"], self._ask)},
            told={"unusable": served["unusable"]},
        )

    async def __aenter__(self) -> _Seat:
        self._tasks = [asyncio.create_task(self._guard(work)) for work in (self._push, self._pull)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._fail(LinkLost("it was let go"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._link.aclose()

    async def open(self, endpoints: Mapping[int, tuple[Endpoint, Kind]]) -> None:
        """Comes back once it has opened them all, each once."""
        for number, (endpoint, kind) in list(endpoints.items()):
            if number not in self._opened:
                asking = self.peer.ask("open", number, wire.endpoint_out(endpoint), kind)
                self._opened[number] = asyncio.ensure_future(asking)
        await asyncio.gather(*map(asyncio.shield, self._opened.values()))
        if not self._opened.keys() >= endpoints.keys():
            await self.open(endpoints)

    def close(self, number: int) -> None:
        if self._opened.pop(number, None) is not None:
            self.peer.tell("close", number)

    def at(self, told: _Told) -> _At:
        return _At(self, told)

    def begin(self, told: _Told) -> None:
        self.runs += 1
        if told.key not in self._programs:
            self.peer.tell("program", told.key, told.text)
            self._programs[told.key] = 0
            unused = [key for key, at_work in self._programs.items() if not at_work and key != told.key]
            for key in unused[: max(0, len(self._programs) - KEPT)]:
                del self._programs[key]
                self.peer.tell("forget", key)
        self._programs[told.key] += 1
        self._programs.move_to_end(told.key)

    def end(self, told: _Told) -> None:
        self.runs -= 1
        self._programs[told.key] -= 1

    async def _ask(self, what: str, *parts: Any) -> Any:
        return await self.peer.ask(what, *parts)

    def _send(self, line: bytes) -> None:
        self._outbox.append(line)
        self._filled.set()

    async def _push(self) -> None:
        while True:
            await self._filled.wait()
            await asyncio.sleep(GATHERING)
            self._filled.clear()
            lines = b"\n".join(self._outbox)
            self._outbox.clear()
            await self._link.take(lines)

    async def _pull(self) -> None:
        while True:
            self.peer.heard(await self._link.give())

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except LinkLost as lost:
            self._fail(lost)
        except Exception as error:  # noqa: BLE001  # a worker that cannot be understood is of no use
            self._fail(LinkLost(f"{type(error).__name__}: {error}"))

    def _fail(self, lost: LinkLost) -> None:
        if self.lost is None:
            self.lost = LinkLost(f"{self.name}: {lost}")
            self._leaves(self)
            self.peer.lost(self.lost)
            self.gone.set()


class _At:
    """The time of one run at a worker."""

    __slots__ = ("_seat", "_told")

    def __init__(self, seat: _Seat, told: _Told) -> None:
        self._seat = seat
        self._told = told

    def __enter__(self) -> None:
        self._seat.begin(self._told)

    def __exit__(self, *_: object) -> None:
        self._seat.end(self._told)


class _FromWorkers:
    """The transport to one endpoint that workers ask. What carries media is sent from here, where the bytes are."""

    def __init__(self, workers: Workers, number: int, opens: Callable[[], Transport]) -> None:
        self._workers = workers
        self._number = number
        self._opens = opens
        self._own: Transport | None = None

    async def complete(self, request: Request) -> Answer:
        if request.heard is not None or any(message.attached for message in request.messages):
            if self._own is None:
                self._own = self._opens()
            return await self._own.complete(request)
        return await self._workers.attempt(self._number, request)

    async def aclose(self) -> None:
        self._workers.disconnect(self._number)
        if self._own is not None:
            await self._own.aclose()


def _unsent() -> WorkerLost:
    lost = WorkerLost("there was no worker to ask")
    lost.billable = False
    return lost


def _shows_media(text: str) -> bool:
    return any(one.sha256 for one in media_in(text))
