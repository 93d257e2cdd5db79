"""Many coroutines at once, with the two ways in which they may end early.

At the budget's wall, or when the engine is told to stop, what is under way is finished and kept. Any
other failure makes what comes after it, in the jobs' order, pointless and cancels it. Which failure is raised is
decided in that order too, as if the jobs were done one after the other, and not by which comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from dspec.runtime.errors import BudgetExceeded, Stopped

Result = TypeVar("Result")
Other = TypeVar("Other")
Halt = BudgetExceeded | Stopped


async def together(
    jobs: Sequence[Coroutine[Any, Any, Result]], told: Callable[[Result], None] | None = None
) -> list[Result | Halt]:
    """Every job's result in the jobs' order, or the halt that ended it; `told` hears of results in that order.

    Raises the failure of the first job that fails, once the jobs before it are through. Where one of those was halted,
    that halt stands for all from the failure on: one after the other, they would not have begun.
    """

    import asyncio  # here, since the table of optimizers is read where nothing runs

    found: dict[int, Result | Halt] = {}
    failures: dict[int, Exception] = {}
    through = 0

    async def kept(place: int) -> None:
        nonlocal through
        try:
            found[place] = await jobs[place]
        except (BudgetExceeded, Stopped) as halt:
            found[place] = halt
        except Exception as error:  # noqa: BLE001  # whichever it is, the jobs before it come first
            failures[place] = error
            for task in tasks[place + 1 :]:
                task.cancel()
        while told is not None and through in found:
            if not isinstance(one := found[through], BudgetExceeded | Stopped):
                told(one)
            through += 1

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kept(place)) for place in range(len(jobs))]
    except BaseExceptionGroup as several:
        raise _first(several) from None
    finally:
        for job in jobs:
            job.close()  # one that was cancelled before it began would be complained of as never awaited
    if not failures:
        return [found[place] for place in range(len(jobs))]
    failed = min(failures)
    results = [found[place] for place in range(failed)]
    halt = next((one for one in results if isinstance(one, BudgetExceeded | Stopped)), None)
    if halt is None:
        raise failures[failed]
    return results + [halt] * (len(jobs) - failed)


async def pair(
    one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]
) -> tuple[Result | Halt, Other | Halt]:
    """Runs two jobs that need nothing of each other, and gives the result of each. Raises like `together`."""
    jobs: list[Coroutine[Any, Any, Result | Other]] = [one, other]
    return cast("tuple[Result | Halt, Other | Halt]", tuple(await together(jobs)))


async def both(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]) -> tuple[Result, Other]:
    """Like `pair`, but a halt is raised, too."""
    found = await pair(one, other)
    for result in found:
        if isinstance(result, BudgetExceeded | Stopped):
            raise result
    return cast("tuple[Result, Other]", found)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended everything, taken out of the exception groups around it."""
    failure = failures.exceptions[0]
    if isinstance(failure, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", failure))
    return failure
