"""Stragglers asked for twice: only when wanted, only once the pace is known, and paid for twice."""

from __future__ import annotations

import asyncio
import time

import pytest
from requesting import FAST, ask, fake_lm
from server import Call, FakeServer

from dspec.compiler import ir
from dspec.compiler.evaluate.budget import Wall
from dspec.runtime.errors import BudgetExceeded, Unavailable
from dspec.runtime.models.engine import Completion, Engine
from dspec.runtime.schema.program import LM


class Straggling:
    """Answers at once, except the first time it is asked for a row whose name says so."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def __call__(self, call: Call) -> str:
        first = call.prompt not in self.seen
        self.seen.add(call.prompt)
        await asyncio.sleep(3.0 if first and "slow" in call.prompt else 0.02)
        return call.prompt


async def asked(lm: LM, engine: Engine) -> tuple[Completion, float]:
    for i in range(20):
        await engine.complete(ask(lm, f"row {i}"))
    began = time.monotonic()
    return await engine.complete(ask(lm, "slow row")), time.monotonic() - began


async def test_a_straggler_is_overtaken_by_the_second_request() -> None:
    async with FakeServer(Straggling()) as server, Engine(backoff=FAST) as engine:
        completion, seconds = await asked(fake_lm(server.url, hedge=True), engine)
    assert completion.answer.text == "slow row"
    assert seconds < 1.0
    assert (engine.tally.hedged, engine.tally.calls, engine.tally.attempts) == (1, 21, 22)
    assert server.hung_up == 1


async def test_without_the_wish_nothing_is_asked_twice() -> None:
    async with FakeServer(Straggling()) as server, Engine(backoff=FAST) as engine:
        _, seconds = await asked(fake_lm(server.url), engine)
        assert len(server.calls) == 21
    assert seconds >= 3.0


async def test_where_both_fail_the_call_is_tried_again() -> None:
    faults = [*[None] * 20, "hang", "500", None]
    async with FakeServer(faults=faults) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, hedge=True, timeout=0.5)
        for i in range(20):
            await engine.complete(ask(lm, f"row {i}"))
        assert (await engine.complete(ask(lm, "unlucky"))).answer.text == "You said: unlucky"


async def test_a_budget_reserves_and_counts_both() -> None:
    async with FakeServer(Straggling()) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, hedge=True, max_tokens=9, price_input=1.0, price_output=1.0)
        wall = Wall(ir.Budget(calls=23, usd=1.0))
        for i in range(20):
            await engine.complete(ask(lm, f"row {i}"), purse=wall)
        assert wall.spent.calls == 20
        answer = (await engine.complete(ask(lm, "slow row"), purse=wall)).answer
        assert wall.spent.calls == 22
        assert wall.spent.usd == pytest.approx(engine.tally.spent.usd + (answer.cost or 0.0))
        with pytest.raises(BudgetExceeded):  # one call is left, and a straggler takes two
            await engine.complete(ask(lm, "another row"), purse=wall)


async def test_where_both_fail_both_are_counted() -> None:
    faults = [*[None] * 20, "hang", "malformed", "hang", "hang"]
    async with FakeServer(faults=faults) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, hedge=True, timeout=0.5, max_tokens=9, retry=0)
        for i in range(20):
            await engine.complete(ask(lm, f"row {i}"))
        for prompt in ("one hangs", "both hang"):
            wall = Wall(ir.Budget(calls=10))
            with pytest.raises(Unavailable):
                await engine.complete(ask(lm, prompt), purse=wall)
            assert wall.spent.calls == 2
