"""Workers in the test's own process behind links of JSON, which can be cut: all of an executor but another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dspec.compiler.evaluate.executors.driver import LinkLost, Workers
from dspec.compiler.evaluate.executors.processes import OpenHost
from dspec.compiler.evaluate.executors.worker import Worker


class Wire:
    """A link to a worker in this process."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.carried = 0
        """Bytes, both ways."""
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def cut(self) -> None:
        """The worker is gone from one moment to the next, with whatever it was at."""
        if not self._cut.done():
            self._cut.set_result(None)
            self.worker._peer.lost(LinkLost("the driver is gone"))

    async def take(self, lines: bytes) -> None:
        if self._cut.done():
            raise LinkLost("cut")
        self.carried += len(lines)
        await self.worker.take(lines)

    async def give(self) -> bytes:
        giving = asyncio.ensure_future(self.worker.give())
        try:
            await asyncio.wait([giving, self._cut], return_when=asyncio.FIRST_COMPLETED)
            if self._cut.done():
                raise LinkLost("cut")
            lines = giving.result()
        finally:
            giving.cancel()
        self.carried += len(lines)
        return lines

    async def aclose(self) -> None:
        self.cut()
        await self.worker.aclose()


@dataclass
class Wires:
    """Opens links, and knows all that it has opened."""

    opened: list[Wire] = field(default_factory=list[Wire])
    before: Callable[[int], None] = lambda number: None
    """Called with the number of the link that is about to be opened; may raise."""
    delay: Callable[[int], float] = lambda number: 0.0
    """Seconds that it takes to open it."""

    async def open(self) -> Wire:
        self.before(len(self.opened))
        if seconds := self.delay(len(self.opened)):
            await asyncio.sleep(seconds)
        wire = Wire()
        self.opened.append(wire)
        return wire


@asynccontextmanager
async def workers(
    number: int = 2, wires: Wires | None = None, host: OpenHost | None = None
) -> AsyncIterator[Workers]:
    async with Workers((wires or Wires()).open, number, host) as opened:
        yield opened
