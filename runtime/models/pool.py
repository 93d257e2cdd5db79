"""Opens the lane of an LM, once for all that share it, and lets go of lanes whose key has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..schema.program import LM
from . import prices
from .endpoints import Endpoint, Kind, address, resolve
from .lanes import Lane, Learned, remembered_by, shared_by
from .ledger import Ledger
from .limits import Admission, Backoff, RateWindow, Stragglers
from .protocol import Transport
from .transports import Mode, choose, open_batches, open_transport

BATCHED = 10_000
"""Calls that may be out at once where the provider answers them in batches."""

_Way = tuple[Endpoint, bool]
"""An endpoint, and whether it is asked by its batch API."""


class Senders(Protocol):
    """Who makes the attempts where that is not this process."""

    async def connect(self, endpoint: Endpoint, kind: Kind) -> Transport:
        """A way to the endpoint. Its attempts raise WorkerLost where who made them is gone."""
        ...

    async def ready(self) -> None:
        """Comes back when there is somebody to make one: a wait that is no part of an attempt's time. Raises
        ConfigurationError where nobody will be."""
        ...


class LanePool:
    """The lanes of an engine, with the transports and gates of their endpoints."""

    def __init__(
        self,
        threads: int,
        *,
        ledger: Ledger | None,
        transport: Mode,
        backoff: Backoff,
        keys: Callable[[LM], str | None] | None,
        senders: Senders | None,
    ) -> None:
        self._threads = threads
        self._ledger = ledger
        self._mode: Mode = transport
        self._backoff = backoff
        self._keys = keys
        """Gives a model's key as it is asked, where it is not in the environment."""
        self._senders = senders
        self._lanes: dict[tuple[object, ...], asyncio.Future[Lane]] = {}
        self._gates: dict[_Way, Admission] = {}
        self._transports: dict[_Way, Transport] = {}
        self._learned: dict[tuple[Endpoint, str], Learned] = {}
        """What models were found not to take."""
        self._retired: list[Transport] = []
        """With keys that are no longer given, until their calls are over."""
        self._closing: set[asyncio.Future[None]] = set()

    async def lane_of(self, lm: LM) -> Lane:
        """The lane of `lm`, opened once, however many ask for it at the same time."""
        key = None if self._keys is None else self._keys(lm)
        name = shared_by(lm, address(lm), key)
        opened = self._lanes.get(name)
        if opened is None:
            if key is not None:
                self._retire(name[:-1], lm.timeout)
            opened = self._lanes[name] = asyncio.ensure_future(self._open(lm, key))
            opened.add_done_callback(lambda lane: self._forget_failed(name, lane))
        return opened.result() if opened.done() else await asyncio.shield(opened)

    def forget(self, lane: Lane) -> None:
        """Reads the environment again for the next call: the key may have been put right by then."""
        self._lanes = {name: other for name, other in self._lanes.items() if _gate(other) is not lane.gate}

    def _forget_failed(self, name: tuple[object, ...], lane: asyncio.Future[Lane]) -> None:
        if lane.cancelled() or lane.exception() is not None:
            self._lanes.pop(name, None)

    def _retire(self, name: tuple[object, ...], seconds: float) -> None:
        """Lets go of lanes with an earlier key: of their connections once the calls that they have are over."""
        for earlier in [one for one in self._lanes if one[:-1] == name]:
            lane = self._lanes.pop(earlier)
            if lane.done() and not lane.cancelled() and lane.exception() is None:
                way = (lane.result().endpoint, lane.result().batched)
                transport = self._transports.pop(way, None)
                self._gates.pop(way, None)
                if transport is not None:
                    self._retired.append(transport)
                    asyncio.get_running_loop().call_later(seconds, self._let_go, transport)

    def _let_go(self, transport: Transport) -> None:
        if transport in self._retired:
            self._retired.remove(transport)
            closing = asyncio.ensure_future(transport.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _open(self, lm: LM, key: str | None) -> Lane:
        endpoint = resolve(lm, key=key)
        way = (endpoint, lm.batched)
        if way not in self._transports:
            kind = choose(endpoint, self._mode)
            # importing LiteLLM takes seconds: other endpoints' calls go on meanwhile
            if lm.batched:
                folder = None if self._ledger is None else self._ledger.path.with_name("batches")
                opening = partial(open_batches, endpoint, folder)
                opened = opening() if folder is None else await asyncio.to_thread(opening)
            elif self._senders is not None and kind != "local":
                opened = await self._senders.connect(endpoint, kind)
            elif kind == "litellm":
                opened = await asyncio.to_thread(open_transport, endpoint, kind)
            else:
                opened = open_transport(endpoint, kind)
            if way in self._transports:
                await opened.aclose()
            else:
                self._transports[way] = opened
        if way not in self._gates:
            self._gates[way] = Admission(BATCHED if lm.batched else self._threads, self._backoff)
        return Lane(
            endpoint,
            self._transports[way],
            self._gates[way],
            Stragglers(),
            asyncio.Semaphore(lm.max_parallel) if lm.max_parallel else None,
            RateWindow(lm.rpm) if lm.rpm else None,
            RateWindow(lm.tpm) if lm.tpm else None,
            prices.price(lm),
            prices.takes_schema(lm),
            self._known(endpoint, lm),
            lm.batched,
        )

    def _known(self, endpoint: Endpoint, lm: LM) -> Learned:
        """What is known of the model at its endpoint, by this engine or by those before it that had the same ledger."""
        known = self._learned.get((endpoint, lm.model))
        if known is None:
            key = remembered_by(endpoint, lm)
            known = Learned(key, set() if self._ledger is None else self._ledger.refused(key))
            self._learned[endpoint, lm.model] = known
        return known

    def widen(self, threads: int) -> None:
        """From now on as many calls may be in flight at each endpoint, if that is more than before."""
        self._threads = max(threads, self._threads)
        for gate in self._gates.values():
            gate.widen(threads)

    async def aclose(self) -> None:
        """Closes every connection. Idempotent."""
        opening = [*self._lanes.values()]
        for lane in opening:
            lane.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        transports = [*self._transports.values(), *self._retired]
        self._transports, self._retired = {}, []
        self._lanes = {}
        for transport in transports:
            await transport.aclose()


def _gate(lane: asyncio.Future[Lane]) -> Admission | None:
    return lane.result().gate if lane.done() and not lane.cancelled() and lane.exception() is None else None
