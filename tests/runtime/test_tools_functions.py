"""Functions of an application as tools: what hangs is given up, what is raised is an answer, nothing else is touched."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dspec.runtime.models.engine import Engine, EngineEvent, ToolEvent
from dspec.runtime.schema.types import INT, STR, JsonValue, Row
from dspec.runtime.tools.functions import MAX_HANGING
from dspec.runtime.tools.toolbox import Toolbox
from tests.support.tools import call, tool_of


def toolbox(function: Callable[..., Any]) -> Toolbox:
    return Toolbox(Path(), functions={"search": function})


def raises(error: BaseException) -> Callable[..., str]:
    def function(query: str) -> str:
        raise error

    return function


def raises_later(error: BaseException) -> Callable[..., Any]:
    async def function(query: str) -> str:
        raise error

    return function


async def later(query: str) -> str:
    await asyncio.sleep(0)
    return query


class Callable2:
    async def __call__(self, query: str) -> str:
        return query


@pytest.mark.parametrize("function", [lambda query: query, later, lambda query: later(query), Callable2()])
async def test_plain_and_async_functions(function: Callable[..., Any]) -> None:
    async with toolbox(function) as tools:
        assert (await call(tools, tool_of(), query="q")).value == "q"


@pytest.mark.parametrize("make", [raises, raises_later])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyboardInterrupt("no"),
        SystemExit("no"),
        asyncio.CancelledError("no"),
        GeneratorExit("no"),
    ],
)
async def test_whatever_is_raised_is_an_answer(
    make: Callable[[BaseException], Callable[..., Any]], error: BaseException
) -> None:
    async with toolbox(make(error)) as tools:
        for _ in range(2):
            answer = await call(tools, tool_of())
            assert answer.error.startswith(type(error).__name__)


async def test_a_result_of_another_type_is_a_try_that_failed() -> None:
    given: list[JsonValue] = [5, None, "fine"]

    async with toolbox(lambda query: given.pop(0)) as tools:
        answer = await call(tools, tool_of(retry=3, output=STR))
        assert (answer.value, answer.error) == ("fine", "")
        assert answer.notes == ("try 1 of 4: expected text, got 5", "try 2 of 4: expected text, got null")
        given[:] = [5]
        answer = await call(tools, tool_of(output=STR))
        assert (answer.error, answer.undeclared) == ("expected text, got 5", True)


async def test_a_thread_that_hangs_is_given_up_and_others_go_on() -> None:
    free = threading.Event()

    def function(query: str) -> str:
        if query == "hang":
            free.wait(60)
        return query

    async with toolbox(function) as tools:
        began = time.monotonic()
        answer = await call(tools, tool_of(timeout=0.1), query="hang")
        assert answer.error == "no result within 0.1 s"
        assert "given up in this process" in answer.notes[0]
        assert time.monotonic() - began < 5
        assert (await call(tools, tool_of(), query="fine")).value == "fine"
        tool = tool_of(timeout=0.05, max_parallel=MAX_HANGING)
        await asyncio.gather(*(call(tools, tool, query="hang") for _ in range(MAX_HANGING - 1)))
        full = await call(tools, tool_of(), query="fine")
        assert full.error == f"{MAX_HANGING} calls of it hang, and no more is started"
        free.set()
        for _ in range(100):
            if (await call(tools, tool_of(), query="fine")).value == "fine":
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("what ended is still counted")


async def test_an_async_function_that_waits_is_cancelled() -> None:
    ended: list[str] = []

    async def function(query: str) -> str:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(query)
        return query

    async with toolbox(function) as tools:
        assert (await call(tools, tool_of(timeout=0.1), query="q")).error == "no result within 0.1 s"
        for _ in range(100):
            if ended:
                break
            await asyncio.sleep(0.01)
    assert ended == ["q"]


async def test_an_async_function_that_blocks_its_loop_does_not_block_ours() -> None:
    free = threading.Event()

    async def function(query: str) -> str:
        if query == "hang":
            free.wait(60)
        return query

    async with toolbox(function) as tools:
        assert (await call(tools, tool_of(timeout=0.1), query="hang")).error == "no result within 0.1 s"
        assert (await call(tools, tool_of(), query="fine")).value == "fine"
    free.set()


async def test_arguments_are_the_functions_own() -> None:
    def function(query: str, seen: list[str]) -> int:
        seen.append(query)
        return len(seen)

    row: Row = {"query": "q", "seen": ["a"]}
    async with toolbox(function) as tools:
        assert (await call(tools, tool_of(output=INT), **row)).value == 2
    assert row == {"query": "q", "seen": ["a"]}


async def test_results_are_bounded_and_json() -> None:
    for value, error in (
        ("x" * 100_001, "its result has 100,003 characters"),
        (object(), "its result is not JSON"),
    ):
        async with toolbox(lambda query, value=value: value) as tools:
            assert (await call(tools, tool_of())).error.startswith(error)


async def test_a_fork_answers_once() -> None:
    def function(query: str) -> str:
        return "child" if os.fork() == 0 else "parent"

    async with toolbox(function) as tools:
        assert (await call(tools, tool_of())).value == "parent"


async def test_secrets_do_not_reach_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("INNOCENT", "hunter3hunter3")
    async with toolbox(raises(ValueError("hunter2hunter2 hunter3hunter3"))) as tools:
        assert (await call(tools, tool_of())).error == "ValueError: <SEARCH_TOKEN> hunter3hunter3"
        named = tool_of(api_key_env="INNOCENT")
        assert (await call(tools, named)).error == "ValueError: <SEARCH_TOKEN> <INNOCENT>"


async def test_a_function_may_ask_back() -> None:
    async def answer(key: str, inputs: Row) -> JsonValue:
        return f"{key} {inputs['n']}"

    def plain(query: str, call: Callable[..., JsonValue]) -> JsonValue:
        return call("a", n=1)

    async def later(query: str, call: Callable[..., Any]) -> JsonValue:
        return await call("b", n=2)

    for function, value in ((plain, "a 1"), (later, "b 2")):
        async with toolbox(function) as tools:
            assert (await call(tools, tool_of(), answer)).value == value


async def test_tries() -> None:
    seen: list[str] = []

    def function(query: str) -> str:
        seen.append(query)
        raise ValueError(len(seen))

    async with toolbox(function) as tools:
        answer = await call(tools, tool_of(retry=1), query="q")
    assert answer.error == "ValueError: 2"
    assert answer.notes == ("try 1 of 2: ValueError: 1", "try 2 of 2: ValueError: 2")


async def test_an_engine_tells_of_each_call_by_name_and_outcome_alone() -> None:
    def function(query: str) -> str:
        if query == "a secret":
            raise ValueError(query)
        return query

    seen: list[EngineEvent] = []
    async with toolbox(function) as tools, Engine(tools=tools, on_event=seen.append) as engine:
        await engine.call(tool_of(), {"query": "a secret"})
        await engine.call(tool_of(), {"query": "another"})
    assert [(each.tool, each.failed) for each in seen if isinstance(each, ToolEvent)] == [
        ("search", True),
        ("search", False),
    ]
    assert "a secret" not in str(seen)
