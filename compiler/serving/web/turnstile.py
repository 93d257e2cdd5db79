"""Who may run now, who waits, and who is turned away: so many at once, so many more in a queue, nobody once the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ...diagnostics.wording import plural


class TurnedAway(Exception):
    """`after` is how many seconds later it may be tried again."""

    def __init__(self, status: int, message: str, after: int) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.after = after


class Turnstile:
    """At most `width` inside and `queue` waiting, each for `patience` seconds at most. For one event loop."""

    def __init__(self, width: int, queue: int, patience: float) -> None:
        self.width = width
        self.inside = self.waiting = 0
        self.draining = False
        self._queue = queue
        self._patience = patience
        self._places = asyncio.Semaphore(width)
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Waits for a place and holds it. Raises TurnedAway."""
        if self.draining:
            raise TurnedAway(503, "the server is stopping", 5)
        if self._places.locked() and self.waiting >= self._queue:
            answered = plural(self.inside, "request is", "requests are")
            waiting = plural(self.waiting, "waits", "wait")
            raise TurnedAway(429, f"{answered} being answered and {waiting} already", 1)
        self.waiting += 1
        self._idle.clear()
        try:
            try:
                async with asyncio.timeout(self._patience):
                    await self._places.acquire()
            except TimeoutError:
                raise TurnedAway(
                    503, f"there was no room for this request within {self._patience:g} s", 5
                ) from None
            finally:
                self.waiting -= 1
            self.inside += 1
            try:
                yield
            finally:
                self.inside -= 1
                self._places.release()
        finally:
            if not self.inside and not self.waiting:
                self._idle.set()

    async def drained(self, seconds: float) -> bool:
        """Lets nobody in any more, and waits for those inside and in the queue. Whether all are through in time."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
