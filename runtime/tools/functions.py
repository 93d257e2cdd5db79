"""Runs functions of this process as tools: plain ones in threads of their own, `async` ones on a loop of their own.

Nothing here can be killed. A function that does not come back in time is given up: its thread goes on by itself and
is counted, and when too many of them hang, no more is started. An `async` function that blocks its loop is given
up with the loop; the next call gets a new one.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from ..models.background import Background
from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import TookTooLong, ToolFunction, ToolProblem, plain, told

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
        if _is_async(self._function):
            if use.answer is not None:
                given["call"] = _asking(use, asyncio.get_running_loop())
            return await self._on_loop(self._function(**given), tool)
        if use.answer is not None:
            given["call"] = _waiting(use, asyncio.get_running_loop())
        returned = await self._in_thread(lambda: self._function(**given), tool)
        if inspect.isawaitable(returned):
            return await self._on_loop(_awaited(returned), tool)
        return cast("JsonValue", returned)

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
                    result = plain(result, tool.max_result)
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
            async with asyncio.timeout(tool.timeout):
                return await asyncio.shield(done)
        except TimeoutError:
            raise TookTooLong(tool.timeout, note=_GIVEN_UP) from None
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
            async with asyncio.timeout(tool.timeout):
                outcome = await running
        except TimeoutError:
            if not await _alive(home):
                if self._loop is home:
                    self._loop = None
                    home.leave()
                self._hanging += 1  # for good: nothing tells when the function ends
            raise TookTooLong(tool.timeout, note=_GIVEN_UP) from None
        if isinstance(outcome, ToolProblem):
            raise outcome
        return plain(outcome, tool.max_result)


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


def _waiting(use: ToolUse, loop: asyncio.AbstractEventLoop) -> Callable[..., JsonValue]:
    """The `call` of a plain function: it waits for the answer."""
    answer = use.answer
    assert answer is not None

    def call(key: str, /, **inputs: JsonValue) -> JsonValue:
        return asyncio.run_coroutine_threadsafe(_answered(answer(key, inputs)), loop).result()

    return call


def _asking(use: ToolUse, loop: asyncio.AbstractEventLoop) -> Callable[..., Coroutine[Any, Any, JsonValue]]:
    """The `call` of an `async` function."""
    answer = use.answer
    assert answer is not None

    async def call(key: str, /, **inputs: JsonValue) -> JsonValue:
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(_answered(answer(key, inputs)), loop)
        )

    return call


async def _answered(answer: Any) -> JsonValue:
    return await answer
