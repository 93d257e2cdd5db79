"""Runs functions of this process as tools: plain ones in threads of their own, `async` ones on a loop of their own.

Nothing here can be killed. A function that does not come back in time is given up: its thread goes on by itself and
is counted, and when too many of them hang, no more is started. An `async` function that blocks its loop is given
up with the loop; the next call gets a new one.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import json
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, cast

from ..models.background import Background
from ..models.protocol import Answering, ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import TookTooLong, ToolFunction, ToolProblem, plain, told
from .owntime import OwnTime
from .worker import only_name, question

MAX_HANGING = 64
_ANSWERS_SECONDS = 1.0
"""How long a loop may take to show that it is alive."""
_GIVEN_UP = "given up in this process, where it may go on"


class FunctionTool:
    """One function."""

    def __init__(self, function: ToolFunction) -> None:
        self._function = function
        self._loop: Background | None = None
        self._hanging = 0

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        if self._hanging >= MAX_HANGING:
            raise ToolProblem(f"{MAX_HANGING} calls of it hang, and no more is started")
        given: dict[str, Any] = copy.deepcopy(arguments)  # a function may change what it is given
        is_async = _is_async(self._function)
        calls: _FunctionCalls | None = None
        try:
            async with OwnTime(tool.timeout) as time:
                if use.answer is not None:
                    calls = _FunctionCalls(time.apart_from(use.answer))
                    given["call"] = calls.later if is_async else calls.now
                if is_async:
                    return await self._on_loop(self._function(**given), tool)
                returned = await self._in_thread(lambda: self._function(**given), tool)
                if inspect.isawaitable(returned):
                    return await self._on_loop(_awaited(returned), tool)
                return cast("JsonValue", returned)
        except TimeoutError:
            raise TookTooLong(tool.timeout, note=_GIVEN_UP) from None
        finally:
            if calls is not None:
                calls.over = True

    async def aclose(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.leave()

    async def _in_thread(self, work: Callable[[], object], tool: Tool) -> object:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        process = os.getpid()
        given_up = False

        def settle(result: object, problem: ToolProblem | None) -> None:
            if given_up:
                self._hanging -= 1
                return
            if problem is not None:
                done.set_exception(problem)
            else:
                done.set_result(result)

        def run() -> None:
            result: object = None
            problem: ToolProblem | None = None
            try:
                result = work()
                if not inspect.isawaitable(result):
                    result = plain(result, tool)
            except ToolProblem as error:
                problem = error
            except BaseException as error:  # noqa: BLE001 - a tool's exit or interrupt is its own failure
                problem = ToolProblem(told(error))
            if os.getpid() != process:
                os._exit(0)  # a child that the function forked has no business here
            with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(settle, result, problem)

        threading.Thread(target=run, name=f"dspec-tool-{tool.name}", daemon=True).start()
        try:
            return await asyncio.shield(done)
        finally:
            if not done.done():
                given_up = True
                self._hanging += 1

    async def _on_loop(self, work: Coroutine[Any, Any, object], tool: Tool) -> JsonValue:
        if self._loop is None:
            self._loop = Background()
        home = self._loop
        running = asyncio.wrap_future(home.submit(_guarded(work)))
        try:
            outcome = await running
        except asyncio.CancelledError:
            if not await _alive(home):
                if self._loop is home:
                    self._loop = None
                    home.leave()
                self._hanging += 1  # for good: nobody will tell when it ends
            raise
        if isinstance(outcome, ToolProblem):
            raise outcome
        return plain(outcome, tool)


def _is_async(function: ToolFunction) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose `__call__` is async
    )


async def _awaited(value: Any) -> object:
    return await value


async def _guarded(work: Coroutine[Any, Any, object]) -> object:
    """What the coroutine gives, or the problem. An exit or interrupt must not reach the loop, which it would end."""
    try:
        return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return ToolProblem("CancelledError: it cancelled itself")
    except BaseException as error:  # noqa: BLE001 - see above
        return ToolProblem(told(error))


async def _alive(home: Background) -> bool:
    probe = asyncio.wrap_future(home.submit(asyncio.sleep(0)))
    with suppress(TimeoutError):
        async with asyncio.timeout(_ANSWERS_SECONDS):
            await probe
            return True
    return False


class _FunctionCalls:
    """The `call` of a function: what it asks is answered on the loop of whoever called it, as a part of that run; nothing
    once that is over, whatever the function left behind."""

    def __init__(self, answer: Answering) -> None:
        self.over = False
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._process = os.getpid()

    def now(self, *named: object, **inputs: object) -> JsonValue:
        return self._begin(only_name(named), inputs).result()

    async def later(self, *named: object, **inputs: object) -> JsonValue:
        return await asyncio.wrap_future(self._begin(only_name(named), inputs))

    def _begin(self, key: str, inputs: dict[str, object]) -> Future[JsonValue]:
        """Raises RuntimeError for what cannot be asked."""
        if os.getpid() != self._process:
            raise RuntimeError("a process that the function started cannot call anything")
        if self.over:
            raise RuntimeError("the run is over")
        asked: Row = json.loads(question(inputs))
        given: Future[JsonValue] = Future()
        self._loop.call_soon_threadsafe(self._ask, key, asked, given, context=self._context)
        return given

    def _ask(self, key: str, inputs: Row, given: Future[JsonValue]) -> None:
        task = self._loop.create_task(self._answered(key, inputs))

        def settle(task: asyncio.Task[JsonValue]) -> None:
            error = RuntimeError("the run is over") if task.cancelled() else task.exception()
            with suppress(InvalidStateError):  # the function waits for it no more
                if error is not None:
                    given.set_exception(error)
                else:
                    given.set_result(task.result())

        task.add_done_callback(settle)

    async def _answered(self, key: str, inputs: Row) -> JsonValue:
        return await self._answer(key, inputs)
