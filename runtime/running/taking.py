"""Runs several takes of the same work at the same time, some of which may give nothing usable."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from ..errors import AnswerError

Result = TypeVar("Result")


async def outcomes(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result | AnswerError]:
    """What each gives, or the AnswerError that says why it is of no use, in order. Raises any other error."""
    tasks = [asyncio.create_task(one) for one in work]
    found: list[Result | AnswerError] = []
    try:
        for task in tasks:
            try:
                found.append(await task)
            except AnswerError as error:
                found.append(error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found
