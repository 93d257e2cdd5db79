"""Admission to an endpoint: order, width, pauses; and rates per minute."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requesting import ask, fake_lm
from server import FakeServer

from dspec.runtime.errors import RateLimited, Unauthorized, Unavailable
from dspec.runtime.models import limits
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.limits import Admission, Backoff, Deadline, RateWindow

STILL = Backoff(base=0.05, cap=0.1, in_a_row=3)


def now() -> float:
    return asyncio.get_running_loop().time()


@given(st.integers(1, 10_000))
def test_backoff_grows_to_its_cap_with_jitter(failures: int) -> None:
    delay = Backoff(base=1.0, cap=60.0).delay(failures)
    longest = min(60.0, 2.0 ** min(failures - 1, 10))
    assert longest / 2 <= delay <= longest


async def test_first_come_first_served_and_leavers_are_skipped() -> None:
    gate = Admission(1, STILL)
    order: list[int] = []

    async def visit(number: int) -> None:
        await gate.enter()
        order.append(number)
        await asyncio.sleep(0)
        gate.leave()

    await gate.enter()
    visits = [asyncio.create_task(visit(i)) for i in range(4)]
    await asyncio.sleep(0)
    visits[1].cancel()
    gate.leave()
    await asyncio.gather(*visits, return_exceptions=True)
    assert order == [0, 2, 3]
    assert gate.inside == 0


async def test_who_was_in_before_goes_first() -> None:
    gate = Admission(1, STILL)
    order: list[str] = []

    async def visit(name: str, *, again: bool) -> None:
        await gate.enter(again=again)
        order.append(name)
        gate.leave()

    await gate.enter()
    visits = [
        asyncio.create_task(visit(name, again=name == "again")) for name in ("first", "second", "again")
    ]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*visits)
    assert order == ["again", "first", "second"]


async def test_the_urgent_go_first_each_in_their_order_and_behind_who_was_in_before() -> None:
    gate = Admission(1, STILL)
    order: list[str] = []

    async def visit(name: str) -> None:
        await gate.enter(again=name == "again", urgent=name.startswith("urgent"))
        order.append(name)
        gate.leave()

    await gate.enter()
    names = ("first", "urgent 1", "second", "urgent 2", "again")
    visits = [asyncio.create_task(visit(name)) for name in names]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*visits)
    assert order == ["again", "urgent 1", "urgent 2", "first", "second"]


async def test_a_closed_gate_turns_the_urgent_away_too() -> None:
    gate = Admission(1, STILL)
    await gate.enter()
    visits = [asyncio.create_task(gate.enter(urgent=urgent)) for urgent in (True, False)]
    await asyncio.sleep(0)
    gate.close(ValueError("a bad key"))
    found = await asyncio.gather(*visits, return_exceptions=True)
    assert [str(one) for one in found] == ["a bad key"] * 2


async def test_a_place_given_to_one_who_just_left_goes_on() -> None:
    gate = Admission(1, STILL)
    await gate.enter()
    first = asyncio.create_task(gate.enter())
    second = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.leave()
    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(second, 1.0)
    assert gate.inside == 1


async def test_429_halves_the_width_once_per_round_and_success_brings_it_back() -> None:
    gate = Admission(16, STILL)
    began = now()
    for _ in range(5):
        gate.failed(RateLimited("slow", retry_after=0.0), 1, began)
    assert gate.width == 8
    gate.failed(RateLimited("slow", retry_after=0.0), 1, now())
    assert gate.width == 4
    for _ in range(200):
        gate.succeeded()
    assert gate.width == 16


async def test_single_failures_pause_nobody_and_a_row_of_them_everybody() -> None:
    gate = Admission(4, STILL)

    async def entering() -> float:
        begun = time.monotonic()
        await gate.enter()
        gate.leave()
        return time.monotonic() - begun

    for _ in range(2):
        gate.failed(Unavailable("reset"), 1, now())
    assert await entering() < 0.02
    gate.failed(Unavailable("reset"), 1, now())
    assert await entering() >= 0.02
    gate.succeeded()
    gate.failed(Unavailable("reset"), 1, now())
    assert await entering() < 0.02


async def test_a_closed_gate_turns_away_those_who_wait_and_those_who_come() -> None:
    gate = Admission(1, STILL)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.close(Unauthorized("bad key", help="another key"))
    for attempt in (waiting, asyncio.create_task(gate.enter())):
        with pytest.raises(Unauthorized, match="bad key") as caught:
            await attempt
        assert caught.value.help == "another key"


async def test_rate_windows_hold_back_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MINUTE", 0.2)
    window = RateWindow(10)
    begun = time.monotonic()
    await window.take(6)
    await window.take(4)
    assert time.monotonic() - begun < 0.1
    await window.take(1)
    assert 0.2 <= time.monotonic() - begun < 0.35
    window.settle(-5)
    await window.take(99)
    assert time.monotonic() - begun < 0.7


async def test_rpm_and_tpm_of_an_lm_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MINUTE", 0.3)
    async with FakeServer() as server, Engine() as engine:
        for settings in ({"rpm": 3}, {"tpm": 60}):
            lm = fake_lm(server.url, **settings)
            begun = time.monotonic()
            await asyncio.gather(*(engine.complete(ask(lm, f"{settings} {i}")) for i in range(5)))
            assert 0.3 <= time.monotonic() - begun < 1.5


async def test_a_call_is_tried_longer_while_its_endpoint_answers_others() -> None:
    gate = Admission(4, Backoff(alive=0.1))
    assert [gate.worth_another(failures, 4) for failures in (4, 5)] == [True, False]
    gate.succeeded()
    assert [gate.worth_another(failures, 4) for failures in (5, 16, 17)] == [True, True, False]
    assert not gate.worth_another(1, 0)
    await asyncio.sleep(0.15)
    assert not gate.worth_another(5, 4)


def test_an_attempt_gets_its_lms_timeout_until_the_pace_is_known() -> None:
    deadline = Deadline(120.0, 5.0)
    for _ in range(19):
        deadline.answered(0.5)
    assert deadline.seconds(0) == 120.0
    deadline.answered(2.0)
    assert [deadline.seconds(timeouts) for timeouts in (0, 1, 2, 9)] == [8.0, 16.0, 32.0, 120.0]
    for _ in range(200):
        deadline.answered(0.5)
    assert deadline.seconds(0) == 5.0


async def test_hung_attempts_are_given_up_by_the_pace_of_the_others() -> None:
    backoff = Backoff(base=0.001, cap=0.01, shortest=0.2)
    async with (
        FakeServer(faults=[*[None] * 20, "hang"]) as server,
        Engine(threads=1, backoff=backoff) as engine,
    ):
        lm = fake_lm(server.url, timeout=60.0)
        for i in range(20):
            await engine.complete(ask(lm, f"row {i}"))
        begun = time.monotonic()
        await engine.complete(ask(lm, "hangs first"))
    assert time.monotonic() - begun < 5.0
    assert len(server.calls) == 22
