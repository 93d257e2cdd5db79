"""Budgets: whatever the unit and wherever the wall stands, it is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulting import Outcome, built, project
from server import FakeServer, hashed

ROWS, CANDIDATES, THREADS = 40, 6, 8


class Minutes:
    """A clock that goes on by a second with every request the server got."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def __call__(self) -> float:
        return float(len(self.server.calls))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the compile takes with no wall in its way."""
    import asyncio

    async def compiled() -> Outcome:
        async with FakeServer(hashed) as server:
            made = project(tmp_path_factory.mktemp("whole"), rows=ROWS, candidates=CANDIDATES)
            return await built(made, server, threads=THREADS)

    return asyncio.run(compiled())


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("unit", ["calls", "tokens", "usd", "minutes"])
async def test_no_wall_is_passed(unit: str, tenth: int, whole: Outcome, tmp_path: Path) -> None:
    tally = whole.tally
    totals: dict[str, float] = {
        "calls": tally.calls,
        "tokens": tally.spent.tokens,
        "usd": tally.spent.usd,
        "minutes": tally.calls / 60,
    }
    wall = totals[unit] * tenth / 10
    shown = str(int(wall)) if unit in ("calls", "tokens") else f"{wall:.9f}"
    made = project(tmp_path, rows=ROWS, candidates=CANDIDATES, budget=f"{unit} = {shown}")
    async with FakeServer(hashed, latency=0.001) as server:
        options = {"clock": Minutes(server)} if unit == "minutes" else {}
        cut = await built(made, server, threads=THREADS, **options)
        asked = len(server.calls)
    spent = {
        "calls": asked,
        "tokens": cut.tally.spent.tokens,
        "usd": cut.tally.spent.usd,
        # no call begins after the wall; those that are on their way when it comes are finished
        "minutes": (asked - THREADS) / 60,
    }
    assert spent[unit] <= float(shown) + 1e-9
    assert cut.built.status == "budget"
    assert asked == cut.tally.calls == cut.tally.attempts
    assert any("budget" in note for note in cut.built.artifact.notes)


async def test_a_wall_is_come_closer_to_than_by_nine_tenths(whole: Outcome, tmp_path: Path) -> None:
    """Reserving the worst case must not waste the budget: what is reserved too much comes back."""
    half = whole.tally.calls // 2
    async with FakeServer(hashed) as server:
        made = project(tmp_path / "calls", rows=ROWS, candidates=CANDIDATES, budget=f"calls = {half}")
        assert (await built(made, server, threads=THREADS)).tally.calls == half
    usd = whole.tally.spent.usd / 2
    async with FakeServer(hashed) as server:
        made = project(tmp_path / "usd", rows=ROWS, candidates=CANDIDATES, budget=f"usd = {usd:.9f}")
        spent = (await built(made, server, threads=THREADS)).tally.spent.usd
    assert 0.9 * usd <= spent <= usd


async def test_raising_the_budget_goes_on_and_gives_the_same_program(whole: Outcome, tmp_path: Path) -> None:
    async with FakeServer(hashed) as server:
        for calls in (whole.tally.calls // 3, 2 * whole.tally.calls // 3, whole.tally.calls):
            made = project(tmp_path, rows=ROWS, candidates=CANDIDATES, budget=f"calls = {calls}")
            last = await built(made, server, threads=THREADS)
        assert len(server.calls) == whole.tally.calls
    assert last.built.status == "complete"
    assert last.artifact == whole.artifact
