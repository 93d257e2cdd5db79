"""Answers that cannot be used and are billed all the same: no wall is passed for them either."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from faulting import FAST, built, project
from requesting import ask, eventually, fake_lm
from server import FakeServer, hashed

from dspec.compiler import ir
from dspec.compiler.evaluate.budget import Wall
from dspec.runtime.errors import BudgetExceeded, ProviderError
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.transports import open_transport

ROWS, CANDIDATES, THREADS = 40, 6, 8
PRICE_IN, PRICE_OUT = 1.0, 2.0
"""USD per million tokens, as the project's model has them."""

SPOILING = {
    "malformed": 0.1,
    "empty": 0.1,
    "null": 0.05,
    "choices": 0.1,
    "cut": 0.1,
    "hang": 0.02,
    "500": 0.05,
}


def bill(server: FakeServer) -> dict[str, float]:
    """What a provider asks for that bills whatever its model was at work on."""
    inputs, outputs = (sum(each) for each in zip(*server.billed, strict=True))
    return {
        "calls": len(server.billed),
        "tokens": inputs + outputs,
        "usd": (PRICE_IN * inputs + PRICE_OUT * outputs) / 1e6,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The bill of the compile with no wall in its way and no fault."""
    import asyncio

    async def compiled() -> dict[str, float]:
        async with FakeServer(hashed) as server:
            made = project(tmp_path_factory.mktemp("whole"), rows=ROWS, candidates=CANDIDATES)
            await built(made, server, threads=THREADS)
            return bill(server)

    return asyncio.run(compiled())


@pytest.mark.parametrize("tenth", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("unit", ["calls", "tokens", "usd"])
async def test_no_wall_is_passed_though_half_of_the_answers_are_spoiled(
    unit: str, tenth: int, whole: dict[str, float], tmp_path: Path
) -> None:
    wall = whole[unit] * tenth / 10
    shown = f"{wall:.9f}" if unit == "usd" else str(int(wall))
    made = project(
        tmp_path, rows=ROWS, candidates=CANDIDATES, budget=f"{unit} = {shown}", timeout=0.4, retry=20
    )
    async with FakeServer(hashed, faults=SPOILING) as server:
        cut = await built(made, server, threads=THREADS)
        asked = bill(server)
    assert cut.built.status == "budget"
    assert asked[unit] <= float(shown) + 1e-9
    # what is taken for a worst case leaves room unused, and not most of it
    assert asked[unit] >= 0.5 * float(shown)
    assert cut.tally.spoiled > 0
    assert len(server.billed) == cut.tally.calls + cut.tally.spoiled


async def test_an_endpoint_that_only_spoils_spends_the_budget_and_no_more(tmp_path: Path) -> None:
    made = project(tmp_path, rows=ROWS, candidates=CANDIDATES, budget="calls = 30", retry=20)
    async with FakeServer(hashed, faults={"malformed": 1.0}) as server:
        cut = await built(made, server, threads=THREADS)
    assert len(server.billed) == 30
    assert (cut.built.status, cut.tally.calls, cut.tally.spoiled) == ("budget", 0, 30)


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ("empty", "reported"),
        ("null", "reported"),
        ("choices", "reported"),
        ("filter", "reported"),
        ("billed:500", "reported"),
        ("billed:400", "reported"),
        ("malformed", "worst"),
        ("html", "worst"),
        ("cut", "worst"),
        ("reset", "worst"),
        ("hang", "worst"),
        ("500", "nothing"),
        ("429:0", "nothing"),
        ("401", "nothing"),
        ("400", "nothing"),
    ],
)
async def test_what_a_failed_attempt_counts(fault: str, taken: str) -> None:
    """With what the provider reports, at its worst where that is unknown, not at all where it was refused."""
    async with FakeServer(faults={fault: 1.0}) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, retry=0, timeout=0.3, max_tokens=100, price_input=1.0, price_output=2.0)
        wall = Wall(ir.Budget(calls=9, tokens=9999, usd=1.0))
        with pytest.raises(ProviderError):
            await engine.complete(ask(lm), purse=wall)
    spent = wall.spent
    account = engine.tally.spent + engine.tally.reserved
    assert (account.calls, account.tokens, account.cost) == (spent.calls, spent.tokens, spent.cost)
    if taken == "nothing":
        assert (spent.calls, spent.tokens, spent.usd, engine.tally.spoiled) == (0, 0, 0.0, 0)
        return
    assert (spent.calls, engine.tally.spoiled) == (1, 1)
    if taken == "reported":
        inputs, outputs = server.billed[0]
        assert spent.tokens == inputs + outputs == engine.tally.spent.tokens
        assert spent.usd == pytest.approx((inputs + 2 * outputs) / 1e6)
    else:
        assert spent.tokens >= 100
        assert spent.usd >= 200 / 1e6
        assert engine.tally.spent.input_tokens == 0


async def test_what_nobody_reports_counts_at_the_wall_and_in_the_account() -> None:
    """One answer without usage, and one request that is hung up on."""
    async with FakeServer(faults=["no_usage", "hang"]) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, max_tokens=100, price_input=1.0, price_output=2.0)
        wall = Wall(ir.Budget(calls=9, tokens=99999, usd=1.0))
        await engine.complete(ask(lm), purse=wall)
        left = asyncio.ensure_future(engine.complete(ask(lm, "another"), purse=wall))
        await eventually(lambda: len(server.calls) == 2)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        await engine.aclose()
    account = engine.tally.spent + engine.tally.reserved
    assert (account.calls, account.tokens, account.cost) == (2, wall.spent.tokens, wall.spent.cost)
    assert engine.tally.estimated == 1
    assert engine.tally.reserved.output_tokens > 100  # the answer's bytes, and the other's worst


async def test_a_retry_asks_for_room_of_its_own() -> None:
    async with FakeServer(faults=["malformed"] * 3) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, max_tokens=9)
        with pytest.raises(BudgetExceeded):
            await engine.complete(ask(lm), purse=Wall(ir.Budget(calls=3)))
        assert len(server.calls) == 3
        assert (await engine.complete(ask(lm), purse=Wall(ir.Budget(calls=1)))).source == "model"


async def test_nobody_is_asked_where_there_is_no_connection() -> None:
    async with FakeServer() as server:
        url = server.url
    async with Engine(backoff=FAST) as engine:
        wall = Wall(ir.Budget(calls=1))
        with pytest.raises(ProviderError):
            await engine.complete(ask(fake_lm(url)), purse=wall)
    assert (wall.spent.calls, engine.tally.spoiled) == (0, 0)


@pytest.mark.parametrize(
    "fault",
    [
        "malformed",
        "html",
        "cut",
        "reset",
        "empty",
        "choices",
        "deep",
        "billed:500",
        "500",
        "503",
        "429:0",
        "400",
        "401",
    ],
)
async def test_both_transports_agree_on_what_may_be_billed(fault: str) -> None:
    said: list[tuple[bool, object]] = []
    async with FakeServer(faults={fault: 1.0}) as server:
        endpoint = resolve(fake_lm(server.url))
        for kind in ("lean", "litellm"):
            transport = open_transport(endpoint, kind)
            try:
                with pytest.raises(ProviderError) as caught:
                    await transport.complete(ask(fake_lm(server.url)))
                said.append((caught.value.billable, caught.value.usage))
            finally:
                await transport.aclose()
    assert said[0] == said[1]
    assert said[0][0] is not (fault[0] in "45")
