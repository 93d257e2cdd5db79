"""Does several things at the same time, and counts their answers in the order in which they were begun.

When one of them fails, it depends on time how far those after it have come. What it and those before it used does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ..models.calls import Completion

Result = TypeVar("Result")

_answers: ContextVar[list[Completion] | None] = ContextVar("_answers", default=None)
"""The list that collects answers; None where nobody wants it."""


class DeterminedAnswers:
    """Collects the answers that a run inside uses. Where it fails, the list has those that do not depend on time."""

    __slots__ = ("_token",)

    def __enter__(self) -> list[Completion]:
        answers: list[Completion] = []
        self._token = _answers.set(answers)
        return answers

    def __exit__(self, *_: object) -> None:
        _answers.reset(self._token)


def count_answer(completion: Completion) -> None:
    """Adds an answer to the list of the work that asked for it."""
    answers = _answers.get()
    if answers is not None:
        answers.append(completion)


class Siblings(Generic[Result]):
    """Work in progress, each part of which fails or ends by itself."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Result]] = []
        self._answers = _answers.get()
        self._parts: list[list[Completion]] = []

    def begin(self, work: Coroutine[Any, Any, Result]) -> None:
        if self._answers is None:
            self.tasks.append(asyncio.create_task(work))
            return
        part: list[Completion] = []
        self._parts.append(part)
        task = asyncio.create_task(_counted_apart(part, work))
        # One that is cancelled before it began would be complained of as never awaited.
        task.add_done_callback(lambda _: work.close())
        self.tasks.append(task)

    async def results(self) -> list[Result]:
        """The results in order. Raises the error of the first in order that fails, and cancels the rest."""
        given: list[Result] = []
        try:
            for place, task in enumerate(self.tasks):
                try:
                    given.append(await task)
                finally:
                    if self._answers is not None:
                        self._answers += self._parts[place]
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
        return given

    async def drop(self) -> None:
        """Ends what still runs, and counts what answered the rest, whatever became of it."""
        running = [task for task in self.tasks if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self._answers is not None:
            for task, part in zip(self.tasks, self._parts, strict=True):
                self._answers += [] if task in running else part


async def _counted_apart(part: list[Completion], work: Coroutine[Any, Any, Result]) -> Result:
    _answers.set(part)  # for this task, and for those that it begins
    return await work
