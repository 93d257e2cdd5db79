"""The one way to a model: bounded concurrency, nothing asked twice, nothing paid and lost.

A request goes: the same request in flight? → ledger → place at the endpoint → attempt → ledger → caller.
The answer is on disk before anyone sees it and before its place is free, so at most the calls in
flight repeat after a kill. Retries, deadlines and backoff live here and nowhere else; a transport
makes one attempt.

Who asks may leave: a call that is already on its way to the model is then finished and kept for the
ledger, one that still waits for its place is dropped.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import (
    ConfigurationError,
    NoAnswer,
    ProviderError,
    RateLimited,
    Refused,
    Stopped,
    TimedOut,
    Unauthorized,
    WorkerLost,
)
from ..schema.program import LM, Record, Tool
from ..schema.types import Row
from ..schema.usage import Spent, Usage
from . import lanes, prices
from .calls import CallEvent, Completion, EngineEvent, EventKind, Purse, Reservation, Source, Tally, ToolEvent
from .endpoints import Endpoint
from .hedging import first_answer
from .lanes import Lane
from .ledger import Ledger
from .limits import FURTHER, PATIENCE, Admission, Backoff
from .pool import BATCHED, LanePool, Senders
from .protocol import Answer, Answering, Hearing, Message, Request, ToolAnswer, Tools, ToolUse, key_of
from .transports import Mode
from .transports.answers import STREAMED, estimate_request

__all__ = ["CallEvent", "Completion", "Engine", "EngineEvent", "Tally", "ToolEvent"]

Complete = Callable[[Request], Awaitable[Completion]]
"""Whoever answers a request."""


_LOG = logging.getLogger("dspec")
_HITS_BETWEEN_YIELDS = 64
_UNKEPT = 30.0
"""Seconds for which nothing is asked once an answer could not be kept."""


class _Flight(Struct, eq=False):
    """One call in progress and how many wait for it."""

    task: asyncio.Task[Answer]
    begun: float
    """By the loop's clock."""
    closed: Admission | None = None
    """The gate that was closed when its own request was refused."""
    askers: int = 0
    on_wire: bool = False
    urgent: bool = False
    requests: int = 0
    """Requests of the attempt under way that may be billed."""
    hearing: list[Hearing] = []
    pieces: list[str] = []
    """What the attempt under way has said."""

    def joined(self, one: Hearing) -> None:
        """From now on tells one more what is said, beginning with what was."""
        self.hearing.append(one)
        if self.pieces:
            one.said("".join(self.pieces))

    def said(self, piece: str) -> None:
        self.pieces.append(piece)
        for one in self.hearing:
            one.said(piece)

    def unsaid(self) -> None:
        if self.pieces:
            self.pieces.clear()
            for one in self.hearing:
                one.unsaid()


class Engine:
    """Asks models. One engine serves one event loop; `threads` calls are in flight at most."""

    def __init__(
        self,
        *,
        threads: int = 16,
        ledger: Ledger | None = None,
        transport: Mode = "auto",
        on_event: Callable[[EngineEvent], None] | None = None,
        on_note: Callable[[str], None] = _LOG.warning,
        backoff: Backoff | None = None,
        tools: Tools | None = None,
        keys: Callable[[LM], str | None] | None = None,
        senders: Senders | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError("threads must be at least 1")
        self.tally = Tally()
        self.threads = threads
        self._ledger = ledger
        self._tools = tools
        self._senders = senders
        self._on_event = on_event
        self._note = on_note
        """Told once of what the engine does otherwise than the file says."""
        self._places = asyncio.Semaphore(threads)
        self._flights: dict[bytes, _Flight] = {}
        self._lanes = LanePool(
            threads,
            ledger=ledger,
            transport=transport,
            backoff=backoff or Backoff(),
            keys=keys,
            senders=senders,
        )
        self._unreported: set[Endpoint] = set()
        """Those that did not say what an answer took."""
        self._stopped = False
        self._unkept: ConfigurationError | None = None
        """Why an answer could not be kept, until one can be again."""
        self._unkept_since = self._unkept_until = 0.0
        self._hits = 0

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def complete(
        self, request: Request, *, purse: Purse | None = None, urgent: bool = False
    ) -> Completion:
        """The answer to `request`, on disk already if there is a ledger.

        `purse` pays for every attempt that may be billed; what it raises ends the call. What is shared or
        replayed is free. `urgent` goes before others that wait for the endpoint: more follows from its answer.

        Raises ProviderError when the model did not answer after every retry, ConfigurationError when a
        key, address or the ledger is missing or unusable, Stopped once the engine was told to stop.
        """
        key = key_of(request)
        flight = self._flights.get(key)
        source: Source = "shared"
        if flight is None:
            if self._ledger is not None and (answer := self._ledger.get(key)) is not None:
                answer = prices.at_price(answer, request.lm)
                self.replayed(request.lm, answer)
                self._hits += 1
                if self._hits % _HITS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
                return Completion(answer, "ledger")
            source = "model"
            flight = self._start(key, request, purse, urgent)
        flight.askers += 1
        if request.heard is not None:
            flight.joined(request.heard)
        try:
            answer = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            asker = asyncio.current_task()
            if flight.task.cancelled() and self._stopped and not (asker and asker.cancelling()):
                raise Stopped("the engine was stopped before this call was answered") from None
            raise
        finally:
            flight.askers -= 1
            if request.heard is not None:
                flight.hearing = [one for one in flight.hearing if one is not request.heard]
            if not flight.askers and not (flight.on_wire and self._ledger is not None):
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]  # whoever asks before it has ended must not end with it
        if source == "shared":
            self.tally.shared += 1
            self._tell("shared", request.lm, answer=answer)
        return Completion(answer, source)

    def kept(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that the ledger has under these keys, a few hundred at most. Whoever uses one counts it (`replayed`).
        Raises ConfigurationError when the ledger is unusable."""
        return {} if self._ledger is None else self._ledger.get_all(keys)

    def replayed(self, lm: LM, answer: Answer) -> None:
        """Counts and tells an answer that came from the ledger."""
        self.tally.replayed += 1
        self._tell("replayed", lm, answer=answer)

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop: nothing more is begun."""
        return self._stopped

    def widen(self, threads: int) -> None:
        """From now on as many calls may be in flight, if that is more than before."""
        for _ in range(threads - self.threads):
            self._places.release()
        self.threads = max(threads, self.threads)
        self._lanes.widen(threads)

    def at_once(self, lms: Iterable[LM]) -> int:
        """How many calls of these models are worth having out together."""
        return max(self.threads, BATCHED) if any(lm.batched for lm in lms) else self.threads

    def unusable(self, request: Request) -> None:
        """Nothing could be read out of the answer to `request`: once the work that it was asked for is done with, it is
        asked for again."""
        if self._ledger is not None:
            self._ledger.set_aside(key_of(request))

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
        purse: Purse | None = None,
        asked: Complete | None = None,
    ) -> ToolAnswer:
        """What the tool gives, or why it failed. `lms` and `records` are the program's, `answer` is for what its function
        calls in turn (`protocol.ToolUse`). `purse` pays for what the tool asks its model for; `asked` answers that, where
        this engine does not.

        Raises ConfigurationError when the engine was given nothing to call tools with, or nothing to call this one
        with; Stopped once the engine was told to stop.
        """
        if self._tools is None:
            raise ConfigurationError(f"nothing here can call the tool `{tool.name}`")
        if self._stopped:
            raise Stopped("the engine was stopped before this call was made")

        lm = None if tool.lm is None else lms.get(tool.lm)

        async def embed(texts: Sequence[str]) -> list[list[float]]:
            if lm is None:
                raise ConfigurationError(f"the program lacks the model that the tool `{tool.name}` needs")
            return await self.embed(lm, texts, purse=purse, asked=asked)

        began = time.monotonic()
        given = await self._tools.call(tool, arguments, ToolUse(lm, embed, records, answer))
        if self._on_event is not None:
            self._on_event(ToolEvent(tool.name, time.monotonic() - began, bool(given.error)))
        return given

    async def embed(
        self,
        lm: LM,
        texts: Sequence[str],
        *,
        purse: Purse | None = None,
        asked: Complete | None = None,
    ) -> list[list[float]]:
        """The texts' vectors, in their order; kept, shared and retried like any answer.

        Raises what `complete` raises.
        """
        requests = (Request(lm, (Message("user", text),), kind="embedding") for text in texts)
        answered = asked or partial(self.complete, purse=purse)
        completions = await asyncio.gather(*map(answered, requests))
        return [json.loads(completion.answer.text) for completion in completions]

    async def drain(self, seconds: float | None = None) -> None:
        """Starts nothing more and waits, at most `seconds`, for answers that are on their way: without a number for as long
        as each LM's `timeout` gives them, since they are paid for.

        Calls that were not sent yet raise Stopped. Answers that arrive are kept.
        """
        self._stopped = True
        for flight in self._flights.values():
            if not flight.on_wire:
                flight.task.cancel()
        tasks = [flight.task for flight in self._flights.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def aclose(self) -> None:
        """Drops what is in flight, closes every connection. What was answered is kept. Idempotent.

        The ledger stays open: it belongs to whoever opened it.
        """
        self._stopped = True
        pending = [flight.task for flight in self._flights.values()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._lanes.aclose()

    def _start(self, key: bytes, request: Request, purse: Purse | None, urgent: bool) -> _Flight:
        if self._stopped:
            raise Stopped("the engine was stopped before this call was made")
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._call(key, request, purse))
        flight = self._flights[key] = _Flight(task, loop.time(), urgent=urgent)

        def landed(task: asyncio.Task[Answer]) -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not task.cancelled():
                task.exception()  # seen, even when every asker has left
            if flight.closed is not None:
                flight.closed.told()

        task.add_done_callback(landed)
        return flight

    async def _call(self, key: bytes, request: Request, purse: Purse | None) -> Answer:
        """Attempts until there is an answer or no hope."""
        lane = await self._lanes.lane_of(request.lm)
        flight = self._flights[key]
        loop = asyncio.get_running_loop()
        failures, answered = 0, lane.gate.answered
        again, urgent, sent = False, flight.urgent, request
        room: Reservation | None = None
        try:
            while True:
                if purse is not None and room is None:
                    room = await purse.reserve(request)
                try:
                    number, units = await self._enter(lane, request, flight.begun, again=again, urgent=urgent)
                except Unauthorized:
                    self._lanes.forget(lane)
                    raise
                began = loop.time()
                try:
                    if self._unkept is not None and began < self._unkept_until:
                        lane.unused(units)
                        raise copy.copy(self._unkept)
                    if self._senders is not None:
                        await self._senders.ready()
                    if room is not None and not room.leaves():
                        room = None
                        lane.unused(units)
                        continue
                    # What a batch has is kept there: nobody has to wait for it.
                    flight.on_wire = not lane.batched
                    sent = lane.fitted(request)
                    if sent.heard is not None:
                        sent = replace(sent, heard=flight)
                    answer = await self._answered(lane, sent, failures + 1, flight)
                    if room is not None:
                        told = Spent.of(answer.usage, lane.cost(answer.usage))
                        self._settle(room, lane, flight.requests, answer.usage, told)
                        room = None
                    seconds = loop.time() - began
                    return await self._kept(key, request, lane, answer, number, units, failures + 1, seconds)
                except ProviderError as error:
                    flight.unsaid()
                    if isinstance(error, Refused) and self._learns(lane, sent, error.parameter):
                        again, flight.requests = True, 0
                        continue
                    spoiled = flight.requests if error.billable else 0
                    if error.billable:
                        told = self.tally.spoil(flight.requests, error.usage, lane.cost(error.usage))
                        if room is not None:
                            self._settle(room, lane, flight.requests, error.usage, told)
                            room = None
                    flight.requests = 0
                    if isinstance(error, WorkerLost) and flight.askers and not self._stopped:
                        # no failure of the endpoint's, so that it uses up no attempt
                        again, wait = True, 0.0
                        self._tell(
                            "retrying",
                            request.lm,
                            failures + 1,
                            error=error.message,
                            spoiled=spoiled,
                            lane=lane,
                        )
                    else:
                        failures += 1
                        # of those that a limit refused each has its turn: none uses up its attempts for all
                        again = not isinstance(error, RateLimited)
                        urgent = urgent or not again
                        others = lane.gate.answered > answered
                        wait = self._failed(
                            error, lane, request.lm, failures, number, began, flight, spoiled, others=others
                        )
                finally:
                    flight.on_wire = False
                    self._leave(lane)
                await asyncio.sleep(wait)
        finally:
            if room is not None:  # cancelled while a request was on its way, or before one
                self._settle(room, lane, flight.requests, None, Spent())

    def _estimates(self, lane: Lane, lm: LM) -> None:
        """Notes an answer of which the provider does not say what it took; said once for each endpoint."""
        self.tally.estimated += 1
        if lane.endpoint not in self._unreported:
            self._unreported.add(lane.endpoint)
            where = f" at {lane.endpoint.shown}" if lane.endpoint.url else ""
            self._note(
                f"lm {lm.name}: {lm.model}{where} does not say what its answers take; tokens are estimated, and a budget "
                "counts one for each byte"
            )

    def _settle(self, room: Reservation, lane: Lane, requests: int, usage: Usage | None, told: Spent) -> None:
        """Settles an attempt with the purse that pays for it. `told` is what the provider said that the attempt took; what the
        purse counts beyond that is noted as reserved."""
        each = room.settle(requests, usage)
        if requests:
            counted = Usage(each.input_tokens, each.output_tokens)
            self.tally.reserved += Spent.of(counted, lane.cost(counted)) * requests + told * -1

    async def _kept(
        self,
        key: bytes,
        request: Request,
        lane: Lane,
        answer: Answer,
        number: int,
        units: int,
        attempt: int,
        seconds: float,
    ) -> Answer:
        """The answer, counted and on disk."""
        began = asyncio.get_running_loop().time() - seconds
        lane.stragglers.answered(seconds)
        if answer.quotas is not None:
            lane.gate.pacing.told(answer.quotas, number, began, answer.usage)
            answer = replace(answer, quotas=None)
        if answer.usage.estimated:
            self._estimates(lane, request.lm)
        if lane.price:
            answer = replace(answer, cost=lane.cost(answer.usage))
        if lane.tpm is not None:
            lane.tpm.settle(answer.usage.input_tokens + answer.usage.output_tokens - units)
        self.tally.add(answer, 0.0 if lane.batched else seconds)
        if self._ledger is not None:
            try:
                answer = await self._ledger.put(key, request.lm.model, answer)
            except ConfigurationError as problem:
                # What cannot be kept is not asked for: at no endpoint, and by nobody who has a place already.
                self._unkept, self._unkept_since = problem, asyncio.get_running_loop().time()
                self._unkept_until = self._unkept_since + _UNKEPT
                lane.gate.close(problem)
                raise
            # A small answer to what was sent before says nothing: there may be room for it alone.
            if began > self._unkept_since:
                self._unkept = None
        # Not before: an answer that cannot be kept opens no gate.
        lane.gate.succeeded(number)
        self._tell("answered", request.lm, attempt, seconds, answer)
        return answer

    def _failed(
        self,
        error: ProviderError,
        lane: Lane,
        lm: LM,
        failures: int,
        number: int,
        began: float,
        flight: _Flight,
        spoiled: int,
        *,
        others: bool,
    ) -> float:
        """Seconds to wait before the next attempt. Raises the error, described, where there is none; Stopped where
        there would be one, had the engine not been stopped. `others` were answered since the request was first sent."""
        problem = lane.described(error, lm, failures)
        if isinstance(error, Unauthorized):
            lane.gate.close(problem)
            flight.closed = lane.gate
            self._lanes.forget(lane)
        # An endpoint that answers others fails by chance. Not so an empty answer, or one that nobody had the time for.
        by_chance = others and not isinstance(error, NoAnswer | TimedOut)
        most = lm.retry + (FURTHER if lm.insists and by_chance else 0)
        counted = min(failures, lm.retry) if failures <= most else failures
        wait = lane.gate.failed(error, max(1, counted), number, began) if error.retryable else 0.0
        hopeful = error.retryable and failures <= most
        given_up = not hopeful or wait > PATIENCE
        told = partial(
            self._tell,
            error=problem.message,
            usage=error.usage if spoiled else None,
            spoiled=spoiled,
            lane=lane,
        )
        if self._stopped and not given_up:
            if spoiled:
                told("failed", lm, failures)
            raise Stopped("the engine was stopped before this call was answered") from None
        if given_up or not flight.askers:
            self.tally.failed += 1
            told("failed", lm, failures)
            raise problem from None
        told("retrying", lm, failures, wait)
        return wait

    def _learns(self, lane: Lane, sent: Request, parameter: str) -> bool:
        """Whether a refused request is worth another try without the parameter that it was refused for."""
        streamed = sent.heard is not None and parameter in STREAMED
        if not parameter or not (streamed or parameter in sent.parameters()):
            return False
        self.tally.refitted += 1
        name, model = sent.lm.name, sent.lm.model
        learned = lane.learns(sent, parameter)
        if learned not in ("", "max_tokens") and self._ledger is not None:
            self._ledger.refuses(lane.learned.key, model, learned)
        match learned:
            case "":
                pass
            case "max_tokens":
                self._note(f"lm {name}: {model} takes `max_tokens` as `max_completion_tokens`; it is sent so")
            case lanes.STREAM:
                self._note(f"lm {name}: {model} does not stream its answers; they come whole")
            case lanes.SCHEMA:
                self._note(
                    f"lm {name}: {model} does not take its answer's schema; it is asked for a JSON object"
                )
            case left_out:
                self._note(f"lm {name}: {model} does not take `{left_out}` as it was set; it is left out")
        return True

    async def _answered(self, lane: Lane, sent: Request, attempt: int, flight: _Flight) -> Answer:
        """One attempt. Where a form is asked for and refused without a word, one call of the model at its endpoint asks once
        more without it, and the others wait for what comes of that: it says why they were refused."""
        try:
            return await self._attempt(lane, sent, attempt, flight)
        except Refused as error:
            if not error.unexplained or sent.response_format is None:
                raise
            refused = error
        known = lane.learned
        while known.formless is not None:
            matters = await asyncio.shield(known.formless)
            if matters is not None:
                refused.parameter = "response_format" if matters else ""
                raise refused
        trial = known.formless = asyncio.get_running_loop().create_future()
        matters = None
        try:
            answer = await self._attempt(lane, replace(sent, response_format=None), attempt, flight)
            matters = True
        except ProviderError as error:
            if error.retryable:
                raise
            matters = False
            raise refused from None
        finally:
            if matters is None:  # nobody knows yet
                known.formless = None
            trial.set_result(matters)
        self._learns(lane, sent, "response_format")
        return answer

    async def _attempt(self, lane: Lane, request: Request, attempt: int, flight: _Flight) -> Answer:
        self.tally.attempts += 1
        flight.requests = 1
        self._tell("started", request.lm, attempt)
        seconds = None if lane.batched else request.lm.timeout
        asked = request

        def ask() -> Coroutine[Any, Any, Answer]:
            return lane.transport.complete(asked)

        def hedged() -> None:
            nonlocal asked
            asked = replace(request, heard=None)  # only the first of two is heard while it answers
            self.tally.attempts += 1
            self.tally.hedged += 1
            flight.requests = 2

        try:
            async with asyncio.timeout(seconds):
                straggling = lane.stragglers.after() if request.lm.hedge and not lane.batched else None
                if straggling is None:
                    return await lane.transport.complete(request)
                return await first_answer(ask, straggling, hedged)
        except TimeoutError:
            raise TimedOut(
                f"no whole answer within {seconds:.3g} s",
                help=f"raise `timeout` in lm {request.lm.name} if the model is slow",
            ) from None

    async def _enter(
        self, lane: Lane, request: Request, begun: float, *, again: bool, urgent: bool
    ) -> tuple[int, int]:
        """Waits for rates and places, narrowest first. Returns the request's number at its endpoint, and the tokens
        counted against `tpm`."""
        units = 0
        if lane.parallel is not None:
            await lane.parallel.acquire()
        try:
            if lane.rpm is not None:
                await lane.rpm.take(1)
            if lane.tpm is not None:
                units = estimate_request(request) + (request.lm.max_tokens or 0)
                await lane.tpm.take(units)
            number = await lane.gate.enter(since=begun, again=again, urgent=urgent)
            try:
                if not lane.batched:
                    await self._places.acquire()
            except BaseException:
                lane.gate.leave()
                raise
        except BaseException:
            if lane.parallel is not None:
                lane.parallel.release()
            raise
        return number, units

    def _leave(self, lane: Lane) -> None:
        if not lane.batched:
            self._places.release()
        lane.gate.leave()
        if lane.parallel is not None:
            lane.parallel.release()

    def _tell(
        self,
        kind: EventKind,
        lm: LM,
        attempt: int = 0,
        seconds: float = 0.0,
        answer: Answer | None = None,
        *,
        usage: Usage | None = None,
        error: str = "",
        spoiled: int = 0,
        lane: Lane | None = None,
    ) -> None:
        if self._on_event is None:
            return
        if answer is not None:
            usage = answer.usage
        cost = answer.cost if answer is not None else None if lane is None else lane.cost(usage)
        self._on_event(CallEvent(kind, lm.name, lm.model, attempt, seconds, usage, cost, error, spoiled))
