"""Work beside the conversation: begun and held, and shown in the editor where it takes long, which may cancel it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, cast

from lsprotocol import types
from pygls.progress import Progress

logger = logging.getLogger(__name__)
BREATH = 0.002
"""Seconds without a message before work begins, so that edits and cancellations which wait are read before it."""
PATIENCE = 1.0
"""Seconds of work that nobody is told of."""


_TASKS: set[asyncio.Task[None]] = set()
"""Held, since a loop holds no task that nobody else does."""


def begin(work: Coroutine[Any, Any, None]) -> None:
    """Have work done beside everything else."""
    task = asyncio.ensure_future(work)
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


@asynccontextmanager
async def shown(progress: Progress, title: str, cancel: Callable[[], None]) -> AsyncGenerator[None]:
    """Shows the work in the block once it has taken a while. `cancel` is called where somebody cancels it."""
    telling = asyncio.ensure_future(_tell(progress, title, cancel))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(progress: Progress, title: str, cancel: Callable[[], None]) -> None:
    await asyncio.sleep(PATIENCE)
    token = str(uuid.uuid4())
    try:
        await progress.create_async(token)  # pyright: ignore[reportUnknownMemberType]
    except Exception as error:  # noqa: BLE001 - the editor may refuse, or have gone
        logger.info("no progress is shown: %s", error)
        return
    loop = asyncio.get_running_loop()

    kept: object = progress.tokens[token]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    told = cast("Future[None]", kept)

    def stopped(future: Future[None]) -> None:
        if future.cancelled():
            loop.call_soon_threadsafe(cancel)

    told.add_done_callback(stopped)
    progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=True))
    try:
        await asyncio.Event().wait()
    finally:
        progress.end(token, types.WorkDoneProgressEnd())
