"""Servers that limit how fast they are asked, and clients that ask them, on a clock that counts waiting alone."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol
from unittest import mock

from virtual import elapsed

from dspec.runtime.errors import RateLimited
from dspec.runtime.models import pool
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.pacing import Quota, Quotas
from dspec.runtime.models.protocol import Answer, Message, Request
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.usage import Usage

UNSAID = -1.0
"""A refusal that does not say when to come again."""


class Rule(Protocol):
    def refusal(self, number: int, now: float) -> float | None:
        """Seconds to wait for the `number`-th request, or `UNSAID`; None lets it through."""
        ...


class Share:
    """Refuses requests at random, whatever their pace."""

    def __init__(self, share: float, retry_after: float) -> None:
        self.share = share
        self.retry_after = retry_after
        self.random = random.Random(3)

    def refusal(self, number: int, now: float) -> float | None:
        return self.retry_after if self.random.random() < self.share else None


class Some:
    """Refuses so many of the first requests, evenly spread."""

    def __init__(self, count: int, of: int, retry_after: float) -> None:
        self.numbers = {int((place + 0.5) * of / count) for place in range(count)}
        self.retry_after = retry_after

    def refusal(self, number: int, now: float) -> float | None:
        return self.retry_after if number in self.numbers else None


class Bucket:
    """Lets through `rate` a second, and `most` at once after a rest."""

    def __init__(self, rate: float, most: float, *, says: bool = True) -> None:
        self.rate = rate
        self.most = most
        self.left = most
        self.says = says
        self.at = 0.0

    def refusal(self, number: int, now: float) -> float | None:
        self.left = min(self.most, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return None
        return max(1, math.ceil((1 - self.left) / self.rate)) if self.says else UNSAID


class Window:
    """Lets through so many within any `seconds`; `says` is what a refusal asks for, or the wait that is needed."""

    def __init__(self, limit: int, seconds: float, says: float | None = None) -> None:
        self.limit = limit
        self.seconds = seconds
        self.says = says
        self.passed: deque[float] = deque()

    def refusal(self, number: int, now: float) -> float | None:
        while self.passed and self.passed[0] <= now - self.seconds:
            self.passed.popleft()
        if len(self.passed) < self.limit:
            self.passed.append(now)
            return None
        if self.says is not None:
            return self.says
        return max(1, math.ceil(self.passed[0] + self.seconds - now))


class Server:
    """A transport whose answers take `latency` seconds, a third more or less; one with `says` tells what is left of a
    `Bucket`."""

    def __init__(self, rule: Rule | None = None, *, latency: float = 0.05, says: bool = False) -> None:
        self.rule = rule
        self.latency = latency
        self.says = says
        self.answered = 0
        self.refused = 0
        self.random = random.Random(11)

    @property
    def requests(self) -> int:
        return self.answered + self.refused

    async def complete(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time()
        wait = self.rule.refusal(self.requests + 1, now) if self.rule is not None else None
        # counted as it comes, so that a number is a request's place among all
        self.answered, self.refused = self.answered + (wait is None), self.refused + (wait is not None)
        quotas = None
        if self.says and isinstance(self.rule, Bucket):
            missing = self.rule.most - self.rule.left
            quotas = Quotas(Quota(float(int(self.rule.left)), missing / self.rule.rate, self.rule.most))
        await asyncio.sleep(self.latency * self.random.uniform(0.7, 1.3))
        if wait is not None:
            raise RateLimited("too many requests", retry_after=None if wait == UNSAID else wait)
        return Answer("done", Usage(10, 2), quotas=quotas)

    async def aclose(self) -> None:
        return None


async def through_engine(server: Server, rows: int, width: int, lm: LM | None = None) -> None:
    """Every row's call, through an engine. Raises where one is given up."""
    lm = lm or LM(name="limited", model="embedded/limited")
    with mock.patch.object(pool, "open_transport", return_value=server):
        async with Engine(threads=width) as engine:
            requests = (Request(lm, (Message("user", f"row {i}"),)) for i in range(rows))
            await asyncio.gather(*map(engine.complete, requests))


async def holding_the_refused(server: Server, rows: int, width: int) -> None:
    """A client that holds a refused request for as long as it was asked to, and nothing else."""
    places = asyncio.Semaphore(width)
    request = Request(LM(name="limited", model="embedded/limited"), (Message("user", "row"),))

    async def one() -> None:
        refused = 0
        while True:
            async with places:
                try:
                    await server.complete(request)
                except RateLimited as error:
                    wait = error.retry_after
                else:
                    return
            refused += 1
            await asyncio.sleep(min(30.0, 0.5 * 2.0 ** (refused - 1)) if wait is None else wait)

    await asyncio.gather(*(one() for _ in range(rows)))


def waited(work: Coroutine[Any, Any, None]) -> float:
    """Seconds that the work had to wait."""
    return elapsed(work)[1]
