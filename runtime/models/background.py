"""The event loop that applications share: one thread, started by the first call, stopped at exit.

Engines live on this loop, whoever calls: plain code, code inside a running event loop, several
threads. So rate limits and connections are shared by all of them, and a caller's loop may end at
any time.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Value = TypeVar("Value")

_STOP_SECONDS = 5.0


class Background:
    """An event loop in a daemon thread. `at_stop` callbacks run on it before it ends."""

    def __init__(self) -> None:
        self.at_stop: list[Callable[[], Awaitable[None]]] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="dspec", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def submit(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        """Starts `work` on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """Runs the callbacks, drops what is still running, and ends the thread."""
        if self.loop.is_closed():
            return
        with contextlib.suppress(TimeoutError):
            self.submit(self._wind_down()).result(_STOP_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_STOP_SECONDS)

    def leave(self) -> None:
        """Ends the thread once it comes back from what it is busy with, and waits for nothing."""
        self.submit(self._wind_down()).add_done_callback(
            lambda _: self.loop.call_soon_threadsafe(self.loop.stop)
        )

    async def _wind_down(self) -> None:
        for callback in list(self.at_stop):
            await callback()
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


_lock = threading.Lock()
_current: Background | None = None


def background() -> Background:
    """The process's loop, started if there is none."""
    global _current
    with _lock:
        if _current is None:
            _current = Background()
        return _current


@atexit.register
def shutdown() -> None:
    """Stops the process's loop; the next call starts another."""
    global _current
    with _lock:
        stopping, _current = _current, None
    if stopping is not None:
        stopping.stop()


def _forget() -> None:
    """In a forked child the thread is gone: its loop must not be waited for."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
