"""What a caller iterates over while a program answers: the events of the run, and the values as far as they came."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

from ..schema.types import JsonValue
from .streaming import FieldValue, StreamEvent, Tell, TextPiece, Withdrawn

Result = TypeVar("Result", covariant=True)
Partial = TypeVar("Partial", covariant=True)

Start = Callable[[Tell], "Future[Any]"]
"""Begins the run on its loop."""


Seen = Callable[[str, JsonValue], object]
"""A whole value of an output, as a caller sees it."""


class _Values:
    """The program's outputs as far as they came."""

    def __init__(self, seen: Seen) -> None:
        self.values: dict[str, object] = {}
        self._seen = seen

    def take(self, event: StreamEvent) -> None:
        if not event.output:
            return
        match event:
            case TextPiece():
                self.values[event.field] = f"{self.values.get(event.field, '')}{event.text}"
            case FieldValue():
                self.values[event.field] = self._seen(event.field, event.value)
            case Withdrawn():
                self.values.pop(event.field, None)


class _Told(Generic[Result, Partial]):
    """What both kinds of streams are: a call that is under way, and what was told of it."""

    def __init__(self, seen: Seen) -> None:
        self._values = _Values(seen)
        self._over = False
        self._future: Future[object]

    @property
    def values(self) -> Partial:
        """The outputs as far as they were told: texts grow, any other is there once it is whole, what was withdrawn is not."""
        return cast("Partial", dict(self._values.values))

    def _taken(self, event: StreamEvent | None) -> StreamEvent | None:
        """Takes what came next; None at the end. Raises there what the call has raised, once."""
        if event is not None:
            self._values.take(event)
        elif not self._over:
            self._over = True
            if not self._future.cancelled():
                self._future.result()
        return event

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # where the run was never begun
            self._future.cancel()


class AnswerStream(_Told[Result, Partial]):
    """A call that tells what is answered while it is: `for event in stream`, then `stream.result`.

    Who stops early closes it, as `with` does and as letting go of it does: the call is given up then. For one thread.
    """

    def __init__(self, start: Start, seen: Seen) -> None:
        super().__init__(seen)
        # what the run holds is the queue alone: who lets go of the stream ends it
        self._queue = waiting = queue.SimpleQueue[StreamEvent | None]()
        self._future = start(waiting.put)
        self._future.add_done_callback(lambda _: waiting.put(None))

    @property
    def result(self) -> Result:
        """What a plain call gives; waits for the end. Raises what a plain call raises."""
        for _ in self:
            pass
        return cast("Result", self._future.result())

    def close(self) -> None:
        """Gives the call up, if it is not over."""
        self._future.cancel()

    def __iter__(self) -> AnswerStream[Result, Partial]:
        return self

    def __next__(self) -> StreamEvent:
        event = self._taken(None if self._over else self._queue.get())
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> AnswerStream[Result, Partial]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncAnswerStream(_Told[Result, Partial]):
    """As `AnswerStream`, for a running event loop: `async for event in stream`, then `await stream.result()`. For one task."""

    def __init__(self, start: Start, seen: Seen) -> None:
        super().__init__(seen)
        loop = asyncio.get_running_loop()
        self._queue = waiting = asyncio.Queue[StreamEvent | None]()

        def put(event: StreamEvent | None) -> None:
            with contextlib.suppress(RuntimeError):  # the caller's loop is gone, and nobody listens
                loop.call_soon_threadsafe(waiting.put_nowait, event)

        self._future = start(put)
        self._future.add_done_callback(lambda _: put(None))

    async def result(self) -> Result:
        """What a plain call gives; waits for the end. Raises what a plain call raises."""
        async for _ in self:
            pass
        return cast("Result", self._future.result())

    async def aclose(self) -> None:
        """Gives the call up, if it is not over."""
        self._future.cancel()

    def __aiter__(self) -> AsyncAnswerStream[Result, Partial]:
        return self

    async def __anext__(self) -> StreamEvent:
        event = self._taken(None if self._over else await self._queue.get())
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> AsyncAnswerStream[Result, Partial]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
