"""One end of a link between two processes: asks the other, and answers what it asks. Many questions at the same time.

A message is a line of JSON. A question is answered with a value or an error, may itself be answered with the help of
questions the other way, and is taken back when whoever asked it leaves.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dspec.runtime.models.compact import compact

from .wire import error_in, error_out

Asked = Callable[..., Awaitable[Any]]
"""Answers a question: given its parts, gives JSON or raises."""
Told = Callable[..., None]


class Peer:
    """`out` takes lines for the other end, in their order; `heard` is given those from there, in theirs.

    Used from one event loop.
    """

    def __init__(
        self, out: Callable[[bytes], None], asked: Mapping[str, Asked], told: Mapping[str, Told]
    ) -> None:
        self._out = out
        self._asked = asked
        self._told = told
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._gone: Exception | None = None

    async def ask(self, what: str, *parts: Any) -> Any:
        """What the other end answers. Raises what it raised, and what `lost` was told."""
        if self._gone is not None:
            raise self._gone
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._out(compact(["?", number, what, *parts]))
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._gone is None:
                self._out(compact(["-", number]))
            raise
        finally:
            del self._waiting[number]

    def tell(self, what: str, *parts: Any) -> None:
        """Something that needs no answer. It is there before what is asked later."""
        if self._gone is None:
            self._out(compact(["!", what, *parts]))

    def heard(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            match json.loads(line):
                case ["?", number, what, *parts]:
                    work = self._answer(number, self._asked[what], parts)
                    task = self._answering[number] = asyncio.get_running_loop().create_task(work)
                    task.add_done_callback(lambda _, number=number: self._answering.pop(number))
                case ["!", what, *parts]:
                    self._told[what](*parts)
                case ["=", number, value]:
                    if (waiting := self._waiting.get(number)) is not None and not waiting.done():
                        waiting.set_result(value)
                case ["x", number, error]:
                    if (waiting := self._waiting.get(number)) is not None and not waiting.done():
                        waiting.set_exception(error_in(error))
                case ["c", number]:
                    if (waiting := self._waiting.get(number)) is not None:
                        waiting.cancel()
                case ["-", number]:
                    if (answering := self._answering.get(number)) is not None:
                        answering.cancel()
                case _:
                    raise ValueError("no message of this protocol")

    def lost(self, error: Exception) -> None:
        """The other end is gone: whatever is asked raises this, and nothing is answered any more."""
        if self._gone is not None:
            return
        self._gone = error
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        for answering in self._answering.values():
            answering.cancel()

    async def _answer(self, number: int, asked: Asked, parts: Sequence[Any]) -> None:
        try:
            line = compact(["=", number, await asked(*parts)])
        except asyncio.CancelledError:
            if self._gone is None:
                self._out(compact(["c", number]))
            raise
        except Exception as error:  # noqa: BLE001  # it is raised where the question was asked
            line = compact(["x", number, error_out(error)])
        if self._gone is None:
            self._out(line)
