"""The time that a function has for itself: it stands still while something that the function called is answered.

What is called has limits of its own, and how long a model takes must not decide whether a function is late.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from ..models.protocol import Answering
from ..schema.types import JsonValue, Row


class OwnTime:
    """Raises TimeoutError, as `asyncio.timeout` does, once the function has taken so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._called = 0
        self._limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> OwnTime:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return await self._limit.__aexit__(kind, error, at)

    def apart_from(self, answer: Answering) -> Answering:
        """The same, while the time stands still."""

        async def answered(key: str, inputs: Row) -> JsonValue:
            self._count(1)
            try:
                return await answer(key, inputs)
            finally:
                self._count(-1)

        return answered

    def _count(self, more: int) -> None:
        stood = self._called > 0
        self._called += more
        stands = self._called > 0
        if stood == stands:
            return
        now = asyncio.get_running_loop().time()
        with suppress(RuntimeError):  # the time is over, whoever is still answered
            if stands:
                until = self._limit.when()
                self._left = 0.0 if until is None else until - now
                self._limit.reschedule(None)
            else:
                self._limit.reschedule(now + self._left)
