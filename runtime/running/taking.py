"""Runs several takes of the same at once, those that give nothing usable among them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from ..errors import AnswerError

Result = TypeVar("Result")


async def outcomes(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result | AnswerError]:
    """What all of the work gives, or why it is of no use, in order. Whatever else one fails with is raised."""
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
