"""The first answer of two: a straggler is asked for a second time, and whichever comes first counts.

The loser is hung up on, and may be billed all the same; only an LM with `hedge = true` gets here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import ProviderError
from .protocol import Answer


async def first_answer(
    ask: Callable[[], Coroutine[Any, Any, Answer]], straggling: float, again: Callable[[], None]
) -> Answer:
    """Asks, and asks a second time after `straggling` seconds without an end; `again` is told of that.

    Raises what the last of them raised. Where both failed, it is billable if one of them was, and has no usage.
    """
    tasks = [asyncio.ensure_future(ask())]
    try:
        done, pending = await asyncio.wait(tasks, timeout=straggling)
        if not done:
            again()
            tasks.append(asyncio.ensure_future(ask()))
            pending = set(tasks)
            while pending and not any(task.exception() is None for task in done):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is None:
                return task.result()
        raise _failure([task.exception() for task in tasks])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failure(errors: list[BaseException | None]) -> BaseException:
    *_, last = (error for error in errors if error is not None)
    if len(errors) > 1 and isinstance(last, ProviderError):
        last.billable = any(isinstance(error, ProviderError) and error.billable for error in errors)
        last.usage = None
    return last
