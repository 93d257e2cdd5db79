"""Servers that do not keep to `max_tokens`, or do not say what they bill: the wall is passed by what is in flight at most."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from requesting import FAST, ask, fake_lm
from server import Call, FakeServer

from dspec.compiler import ir
from dspec.compiler.evaluate.budget import Wall
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.models.engine import Engine

PRICE_IN, PRICE_OUT = 1.0, 4.0
"""USD per million tokens."""
LONG = 2_000
"""Tokens that an answer really takes, where `max_tokens` is 40."""

Billed = tuple[tuple[int, int], dict[str, Any] | None]


def inputs(call: Call) -> int:
    return sum(len(str(message["content"])) for message in call.body["messages"]) // 4


def overshooting(call: Call, text: str) -> Billed:
    taken = (inputs(call), LONG)
    return taken, {"prompt_tokens": taken[0], "completion_tokens": LONG, "total_tokens": sum(taken)}


def silent(call: Call, text: str) -> Billed:
    return (inputs(call), len(text) // 2), None


def nothing(call: Call, text: str) -> Billed:
    return (inputs(call), len(text) // 2), {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def totals(call: Call, text: str) -> Billed:
    taken = (inputs(call), LONG)
    return taken, {"total_tokens": sum(taken)}


def thinking_apart(call: Call, text: str) -> Billed:
    reported = {"prompt_tokens": inputs(call), "completion_tokens": 10}
    return (inputs(call), LONG), {**reported, "completion_tokens_details": {"reasoning_tokens": LONG - 10}}


def thinking_in_total(call: Call, text: str) -> Billed:
    taken = (inputs(call), LONG)
    return taken, {"prompt_tokens": taken[0], "completion_tokens": 10, "total_tokens": sum(taken)}


def cached_apart(call: Call, text: str) -> Billed:
    reported = {"prompt_tokens": 5, "completion_tokens": 10}
    return (LONG, 10), {**reported, "prompt_tokens_details": {"cached_tokens": LONG - 5}}


def other_names(call: Call, text: str) -> Billed:
    taken = (inputs(call), LONG)
    return taken, {"input_tokens": taken[0], "output_tokens": LONG}


KINDS = [
    *(overshooting, silent, nothing, totals, thinking_apart, thinking_in_total, cached_apart, other_names),
]


def price(billed: tuple[int, int]) -> float:
    return (PRICE_IN * billed[0] + PRICE_OUT * billed[1]) / 1e6


def long_answer(call: Call) -> str:
    return f"{call.prompt} " + "word " * 800


@pytest.mark.parametrize("width", [1, 16, 64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["usd", "tokens"])
async def test_the_wall_is_passed_by_what_is_in_flight_at_most(
    kind: Any, width: int, unit: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = 300
    dearest = price((LONG, LONG)) if unit == "usd" else 2 * LONG + 100
    limit = dearest * 0.9 + (0.001 if unit == "usd" else 1000)
    budget = ir.Budget(usd=limit) if unit == "usd" else ir.Budget(tokens=int(limit))
    wall = Wall(budget)
    async with (
        FakeServer(long_answer, reports=kind, latency=0.01) as server,
        Engine(threads=width, backoff=FAST) as engine,
    ):
        lm = fake_lm(server.url, max_tokens=40, price_input=PRICE_IN, price_output=PRICE_OUT)
        with caplog.at_level(logging.WARNING, logger="dspec"):
            found = await asyncio.gather(
                *(engine.complete(ask(lm, f"row {i}"), purse=wall.purse(i)) for i in range(rows)),
                return_exceptions=True,
            )
        await engine.drain()
        bill = sum(price(each) if unit == "usd" else sum(each) for each in server.billed)
        each = max(price(one) if unit == "usd" else sum(one) for one in server.billed)
    assert all(isinstance(one, BudgetExceeded) for one in found if isinstance(one, BaseException))
    assert any(isinstance(one, BudgetExceeded) for one in found)
    # whoever was on the way when the first answer came may take more than was reserved for him
    assert bill <= limit + width * each
    assert len(server.calls) < rows / 2
    # nothing is counted for less than it costs
    assert (wall.spent.usd if unit == "usd" else wall.spent.tokens) >= bill - 1e-9
    passed = (wall.spent.usd if unit == "usd" else wall.spent.tokens) > limit + 1e-9
    told = [message for message in caplog.messages if "is passed, with" in message]
    assert len(told) == passed
    others = [message for message in caplog.messages if message not in told]
    assert all("does not say what its answers take" in message for message in others)
    assert len(others) <= 1  # once for an endpoint
    if passed:
        assert any("is passed, with" in str(one) for one in found)


@pytest.mark.parametrize("width", [1, 16, 64])
async def test_once_it_is_known_what_answers_take_the_wall_holds(width: int) -> None:
    """After the first answer, what it took is what is reserved for every other."""
    wall = Wall(ir.Budget(tokens=200_000))
    async with (
        FakeServer(long_answer, reports=overshooting, latency=0.01) as server,
        Engine(threads=width, backoff=FAST) as engine,
    ):
        lm = fake_lm(server.url, max_tokens=40)
        await engine.complete(ask(lm, "first"), purse=wall.purse(0))
        found = await asyncio.gather(
            *(engine.complete(ask(lm, f"row {i}"), purse=wall.purse(i + 1)) for i in range(200)),
            return_exceptions=True,
        )
        await engine.drain()
    bill = sum(sum(each) for each in server.billed)
    assert 0.95 * 200_000 <= bill <= 200_000
    answered = [i for i, one in enumerate(found) if not isinstance(one, BaseException)]
    assert answered == list(range(len(answered))), "what was begun first has the last of the room"


async def test_room_is_taken_back_from_those_who_wait_last_begun_first() -> None:
    wall = Wall(ir.Budget(tokens=10_000))
    lm = fake_lm("http://127.0.0.1:9/v1", max_tokens=40)
    rooms = [await wall.purse(i).reserve(ask(lm, f"row {i}")) for i in range(20)]
    assert rooms[0].leaves()
    rooms[0].settle(1, overshooting_usage())
    held = [room.leaves() for room in rooms[1:]]
    assert held == [True] * 3 + [False] * 16
    for room in rooms[1:]:
        room.settle(0, None)
    assert wall.spent.tokens == LONG + 10


def overshooting_usage() -> Any:
    from dspec.runtime.schema.usage import Usage

    return Usage(10, LONG)
