"""Many coroutines at once, with the two ways in which they may end early.

At the budget's wall, or when the engine is told to stop, what is under way is finished and kept. Any
other failure makes the rest pointless and cancels it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from dspec.runtime.errors import BudgetExceeded, Stopped

Result = TypeVar("Result")
Other = TypeVar("Other")
Halt = BudgetExceeded | Stopped


async def together(jobs: Sequence[Coroutine[Any, Any, Result]]) -> list[Result | Halt]:
    """Every job's result in the jobs' order, or the halt that ended it.

    Raises the first other failure, after the remaining jobs have been cancelled.
    """

    import asyncio  # here, since the table of optimizers is read where nothing runs

    async def kept(job: Coroutine[Any, Any, Result]) -> Result | Halt:
        try:
            return await job
        except (BudgetExceeded, Stopped) as halt:
            return halt

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kept(job)) for job in jobs]
    except BaseExceptionGroup as failures:
        raise first(failures) from None
    return [task.result() for task in tasks]


async def pair(
    one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]
) -> tuple[Result | Halt, Other | Halt]:
    """What two jobs give that need nothing of each other. Raises like `together`."""
    jobs: list[Coroutine[Any, Any, Result | Other]] = [one, other]
    return cast("tuple[Result | Halt, Other | Halt]", tuple(await together(jobs)))


async def both(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]) -> tuple[Result, Other]:
    """The same, where halts are raised as well."""
    found = await pair(one, other)
    for result in found:
        if isinstance(result, BudgetExceeded | Stopped):
            raise result
    return cast("tuple[Result, Other]", found)


def first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to show of several that happened at once: the first that is not a group."""
    failure = failures.exceptions[0]
    if isinstance(failure, BaseExceptionGroup):
        return first(cast("BaseExceptionGroup[BaseException]", failure))
    return failure
