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
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import prices
from .calls import CallEvent, Completion, EventKind, Source, Tally
from .endpoints import Endpoint, address, resolve
from .errors import ConfigurationError, ProviderError, RateLimited, Stopped, TimedOut, Unauthorized
from .ledger import Ledger
from .limits import PATIENCE, Backoff, Deadline, Gate, RateWindow
from .program import LM
from .transports import Mode, choose, open_transport
from .transports.answers import estimate_tokens
from .transports.base import Answer, Message, Request, Transport, Usage

__all__ = ["CallEvent", "Completion", "Engine", "Tally"]

_HITS_BETWEEN_YIELDS = 64


@dataclass(slots=True)
class _Lane:
    """What all calls of one LM share; gates and transports are shared by all LMs of an endpoint."""

    endpoint: Endpoint
    transport: Transport
    gate: Gate
    deadline: Deadline
    parallel: asyncio.Semaphore | None
    rpm: RateWindow | None
    tpm: RateWindow | None
    price: prices.Price | None


@dataclass(slots=True, eq=False)
class _Flight:
    """One call in progress and how many wait for it."""

    task: asyncio.Task[Answer]
    askers: int = 0
    on_wire: bool = False
    requests: int = 1


class Engine:
    """Asks models. One engine serves one event loop; `threads` calls are in flight at most."""

    def __init__(
        self,
        *,
        threads: int = 16,
        ledger: Ledger | None = None,
        transport: Mode = "auto",
        on_event: Callable[[CallEvent], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError("threads must be at least 1")
        self.tally = Tally()
        self._threads = threads
        self._ledger = ledger
        self._mode: Mode = transport
        self._on_event = on_event
        self._backoff = backoff or Backoff()
        self._places = asyncio.Semaphore(threads)
        self._flights: dict[bytes, _Flight] = {}
        self._lanes: dict[tuple[LM, str], asyncio.Future[_Lane]] = {}
        self._gates: dict[Endpoint, Gate] = {}
        self._transports: dict[Endpoint, Transport] = {}
        self._stopped = False
        self._hits = 0

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def complete(
        self, request: Request, *, before_attempt: Callable[[], None] | None = None
    ) -> Completion:
        """The answer to `request`, on disk already if there is a ledger.

        `before_attempt` is asked whenever a place is free and the request is about to be sent; what it
        raises ends the call. It is not asked for what is shared or replayed.

        Raises ProviderError when the model did not answer after every retry, ConfigurationError when a
        key, address or the ledger is missing or unusable, Stopped once the engine was told to stop.
        """
        key = hashlib.sha256(request.identity().encode(errors="surrogatepass")).digest()
        flight = self._flights.get(key)
        source: Source = "shared"
        if flight is None:
            if self._ledger is not None and (answer := self._ledger.get(key)) is not None:
                self.tally.replayed += 1
                self._tell("replayed", request.lm, usage=answer.usage)
                self._hits += 1
                if self._hits % _HITS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
                return Completion(answer, "ledger")
            source = "model"
            flight = self._start(key, request, before_attempt)
        flight.askers += 1
        try:
            answer = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            asker = asyncio.current_task()
            if flight.task.cancelled() and self._stopped and not (asker and asker.cancelling()):
                raise Stopped("the engine was stopped before this call was answered") from None
            raise
        finally:
            flight.askers -= 1
            if not flight.askers and not (flight.on_wire and self._ledger is not None):
                flight.task.cancel()
        if source == "shared":
            self.tally.shared += 1
            self._tell("shared", request.lm, usage=answer.usage)
        return Completion(answer, source, flight.requests)

    async def embed(self, lm: LM, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors, in their order; kept, shared and retried like any answer.

        Raises what `complete` raises.
        """
        requests = (Request(lm, (Message("user", text),), kind="embedding") for text in texts)
        completions = await asyncio.gather(*map(self.complete, requests))
        return [json.loads(completion.answer.text) for completion in completions]

    async def drain(self, seconds: float = 10.0) -> None:
        """Starts nothing more and waits, at most `seconds`, for answers that are on their way.

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
        pending: list[asyncio.Future[Any]] = [
            *(flight.task for flight in self._flights.values()),
            *self._lanes.values(),
        ]
        for future in pending:
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        transports, self._transports = list(self._transports.values()), {}
        self._lanes = {}
        for transport in transports:
            await transport.aclose()

    def _start(self, key: bytes, request: Request, before_attempt: Callable[[], None] | None) -> _Flight:
        if self._stopped:
            raise Stopped("the engine was stopped before this call was made")
        task = asyncio.get_running_loop().create_task(self._call(key, request, before_attempt))
        flight = self._flights[key] = _Flight(task)

        def landed(task: asyncio.Task[Answer]) -> None:
            del self._flights[key]
            if not task.cancelled():
                task.exception()  # seen, even when every asker has left

        task.add_done_callback(landed)
        return flight

    async def _call(self, key: bytes, request: Request, before_attempt: Callable[[], None] | None) -> Answer:
        """Attempts until there is an answer or no hope."""
        lane = await self._lane(request.lm)
        flight = self._flights[key]
        loop = asyncio.get_running_loop()
        failures = timeouts = 0
        while True:
            try:
                units = await self._enter(lane, request, again=failures > 0)
            except Unauthorized:
                self._forget(lane)
                raise
            began = loop.time()
            try:
                if before_attempt is not None:
                    before_attempt()
                flight.on_wire = True
                answer = await self._attempt(lane, request, failures + 1, timeouts, flight)
                lane.gate.succeeded()
                lane.deadline.answered(loop.time() - began)
                answer = replace(answer, cost=lane.price.of(answer.usage) if lane.price else answer.cost)
                if lane.tpm is not None:
                    lane.tpm.settle(answer.usage.input_tokens + answer.usage.output_tokens - units)
                self.tally.add(answer)
                if self._ledger is not None:
                    try:
                        answer = await self._ledger.put(key, request.lm.model, answer)
                    except ConfigurationError as problem:
                        lane.gate.close(problem)  # what cannot be kept is not asked for
                        raise
                self._tell("answered", request.lm, failures + 1, loop.time() - began, answer)
                return answer
            except ProviderError as error:
                failures += 1
                timeouts += isinstance(error, TimedOut)
                problem = self._described(error, lane, request.lm, failures)
                if isinstance(error, Unauthorized):
                    lane.gate.close(problem)
                    self._forget(lane)
                wait = lane.gate.failed(error, failures, began) if error.retryable else 0.0
                hopeful = error.retryable and lane.gate.worth_another(failures, request.lm.retry)
                given_up = not hopeful or wait > PATIENCE
                if given_up or self._stopped or not flight.askers:
                    self.tally.failed += 1
                    self._tell("failed", request.lm, failures, error=problem.message)
                    raise problem from None
                self._tell("retrying", request.lm, failures, wait, error=problem.message)
            finally:
                flight.on_wire = False
                self._leave(lane)
            await asyncio.sleep(wait)

    async def _attempt(
        self, lane: _Lane, request: Request, number: int, timeouts: int, flight: _Flight
    ) -> Answer:
        self.tally.attempts += 1
        self._tell("started", request.lm, number)
        seconds = lane.deadline.seconds(timeouts)
        try:
            async with asyncio.timeout(seconds):
                straggling = lane.deadline.straggling() if request.lm.hedge else None
                if straggling is None:
                    return await lane.transport.complete(request)
                return await self._hedged(lane, request, straggling, flight)
        except TimeoutError:
            raise TimedOut(
                f"no whole answer within {seconds:.3g} s",
                help=f"raise `timeout` in lm {request.lm.name} if the model is slow",
            ) from None

    async def _hedged(self, lane: _Lane, request: Request, straggling: float, flight: _Flight) -> Answer:
        """The first answer of two: a second request is sent once the first takes longer than usual."""
        tasks = [asyncio.ensure_future(lane.transport.complete(request))]
        try:
            done, _ = await asyncio.wait(tasks, timeout=straggling)
            if not done:
                self.tally.attempts += 1
                self.tally.hedged += 1
                flight.requests = 2
                tasks.append(asyncio.ensure_future(lane.transport.complete(request)))
            pending = set(tasks)
            while True:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if not pending or task.exception() is None:
                        return task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _enter(self, lane: _Lane, request: Request, *, again: bool) -> int:
        """Waits for rates and places, narrowest first. Returns the tokens counted against `tpm`."""
        units = 0
        if lane.parallel is not None:
            await lane.parallel.acquire()
        try:
            if lane.rpm is not None:
                await lane.rpm.take(1)
            if lane.tpm is not None:
                units = estimate_tokens(request.messages) + (request.lm.max_tokens or 0)
                await lane.tpm.take(units)
            await lane.gate.enter(again=again)
            try:
                await self._places.acquire()
            except BaseException:
                lane.gate.leave()
                raise
        except BaseException:
            if lane.parallel is not None:
                lane.parallel.release()
            raise
        return units

    def _leave(self, lane: _Lane) -> None:
        self._places.release()
        lane.gate.leave()
        if lane.parallel is not None:
            lane.parallel.release()

    async def _lane(self, lm: LM) -> _Lane:
        """The lane of `lm`, opened once, however many ask for it at the same time."""
        name = (lm, address(lm))
        opened = self._lanes.get(name)
        if opened is None:
            opened = self._lanes[name] = asyncio.ensure_future(self._open(lm))
            opened.add_done_callback(lambda lane: self._forget_failed(name, lane))
        return opened.result() if opened.done() else await asyncio.shield(opened)

    def _forget_failed(self, name: tuple[LM, str], lane: asyncio.Future[_Lane]) -> None:
        if lane.cancelled() or lane.exception() is not None:
            self._lanes.pop(name, None)

    async def _open(self, lm: LM) -> _Lane:
        endpoint = resolve(lm)
        kind = choose(endpoint, self._mode)
        if endpoint not in self._transports:
            if kind == "litellm":
                # importing it takes seconds: other endpoints' calls go on meanwhile
                opened = await asyncio.to_thread(open_transport, endpoint, kind)
                if endpoint in self._transports:
                    await opened.aclose()
                else:
                    self._transports[endpoint] = opened
            else:
                self._transports[endpoint] = open_transport(endpoint, kind)
        if endpoint not in self._gates:
            self._gates[endpoint] = Gate(self._threads, self._backoff)
        return _Lane(
            endpoint,
            self._transports[endpoint],
            self._gates[endpoint],
            Deadline(lm.timeout, self._backoff.shortest),
            asyncio.Semaphore(lm.max_parallel) if lm.max_parallel else None,
            RateWindow(lm.rpm) if lm.rpm else None,
            RateWindow(lm.tpm) if lm.tpm else None,
            prices.price(lm),
        )

    def _forget(self, lane: _Lane) -> None:
        """Reads the environment again for the next call: the key may have been put right by then."""
        self._lanes = {name: other for name, other in self._lanes.items() if _gate(other) is not lane.gate}

    def _described(self, error: ProviderError, lane: _Lane, lm: LM, attempts: int) -> ProviderError:
        """The same error, saying which model failed where and after how many attempts."""
        where = f" at {lane.endpoint.shown}" if lane.endpoint.url else ""
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        message = f"lm {lm.name} ({lm.model}){where}{tries}: {error.message}"
        if isinstance(error, RateLimited):
            return RateLimited(message, retry_after=error.retry_after, help=error.help)
        return type(error)(message, help=error.help)

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
    ) -> None:
        if self._on_event is None:
            return
        if answer is not None:
            usage = answer.usage
        cost = None if answer is None else answer.cost
        self._on_event(CallEvent(kind, lm.name, lm.model, attempt, seconds, usage, cost, error))


def _gate(lane: asyncio.Future[_Lane]) -> Gate | None:
    return lane.result().gate if lane.done() and not lane.cancelled() and lane.exception() is None else None
