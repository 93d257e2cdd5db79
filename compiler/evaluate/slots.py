"""Places for work at the same time, which long work gives up when others are waiting for one."""

from __future__ import annotations

import asyncio


class Slots:
    """A semaphore that knows whether anybody waits in `async with`; used from one event loop."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._waiting = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a slot, those that only `acquire` left out."""
        return self._waiting > 0

    async def acquire(self) -> None:
        await self._free.acquire()

    def release(self) -> None:
        self._free.release()

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
