"""A loop whose clock jumps to the next timer: what takes minutes of waiting takes none, and no computing counts.

The time that a run takes on it is what it must wait for, the same on any machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Only for what waits on timers and on itself; a wait for a socket or a thread would be skipped."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        # 3.11 to 3.14 alike: a loop sleeps by asking its selector.
        ask = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> Any:
            if timeout is None:
                raise RuntimeError("nothing will ever happen again")
            self._now += max(0.0, timeout)
            return ask(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


def elapsed(work: Coroutine[Any, Any, Result]) -> tuple[Result, float]:
    """What the work gives, and the seconds it had to wait."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work)
        return result, runner.get_loop().time()
