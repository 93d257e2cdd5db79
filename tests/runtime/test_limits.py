"""Admission to an endpoint: order, width, pauses; and rates per minute."""

from __future__ import annotations

import asyncio
import random
import time

import limited
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requesting import ask, fake_lm
from server import FakeServer

from dspec.runtime.errors import NoAnswer, RateLimited, Unauthorized, Unavailable
from dspec.runtime.models import limits
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.limits import Admission, Backoff, RateWindow, Stragglers
from dspec.runtime.models.pacing import Pacing, Quota, Quotas
from dspec.runtime.models.protocol import Answer, Request
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.usage import Usage

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
    await asyncio.wait_for(second, 60.0)
    assert gate.inside == 1


def refuse(gate: Admission, number: int, retry_after: float | None = 0.0) -> float:
    return gate.failed(RateLimited("slow", retry_after=retry_after), 1, number, now())


async def test_lone_refusals_hold_nobody_else() -> None:
    gate = Admission(64, STILL)
    for number in range(1, 400):
        assert await gate.enter() == number
        gate.leave()
        if number % 10 == 0:
            assert 1.0 <= refuse(gate, number, 1.0) <= 1.05
        else:
            gate.succeeded(number)
    assert (gate.width, gate.pacing.pace) == (64, None)


async def test_a_crowd_of_refusals_is_a_limit_in_whatever_order_they_come() -> None:
    gate = Admission(64, STILL)
    for _ in range(64):
        await gate.enter()
    refused = list(range(20, 40))
    random.Random(7).shuffle(refused)
    for number in refused:
        refuse(gate, number, 0.2)
    assert gate.width == 32
    for _ in range(64):
        gate.leave()
    begun = time.monotonic()
    first = await gate.enter()
    assert time.monotonic() - begun >= 0.15
    # one alone tries whether the limit still holds
    second = asyncio.create_task(gate.enter())
    await asyncio.sleep(0.05)
    assert not second.done()
    gate.succeeded(first)
    await asyncio.wait_for(second, 60.0)
    for number in range(first, first + 5000):
        gate.succeeded(number)
    assert gate.width == 64


async def test_who_tries_a_limit_and_is_not_refused_opens_it_though_the_answer_takes_long() -> None:
    gate = Admission(64, STILL)
    for _ in range(64):
        await gate.enter()
    for number in range(1, 41):
        refuse(gate, number, 0.0)
        gate.leave()
    await gate.enter()
    others = [asyncio.create_task(gate.enter()) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert not any(other.done() for other in others)
    async with asyncio.timeout(60.0):
        await asyncio.gather(*others)


async def test_the_pace_is_that_of_the_answers_and_follows_the_limit() -> None:
    """Against a server that lets through 50 a second, whatever is asked."""
    answered, refused, took = await asyncio.to_thread(against_a_bucket, 50.0, 3000)
    assert answered == 3000
    assert refused <= 0.05 * 3000
    assert took <= 1.1 * 3000 / 50


def against_a_bucket(rate: float, rows: int) -> tuple[int, int, float]:
    server = limited.Server(limited.Bucket(rate, rate), latency=0.2)
    took = limited.waited(limited.through_engine(server, rows, 32))
    return server.answered, server.refused, took


async def test_what_an_empty_answer_tells_is_not_held_against_the_endpoint() -> None:
    gate = Admission(4, STILL)
    for number in range(1, 20):
        gate.failed(NoAnswer("empty"), 1, number, now())
    begun = time.monotonic()
    await gate.enter()
    assert time.monotonic() - begun < 0.02


def number(gate: Admission) -> int:
    """The number of a request that was made by the time."""
    gate.pacing.begun(now())
    return gate.pacing.number


async def test_single_failures_pause_nobody_and_a_row_of_them_everybody() -> None:
    gate = Admission(4, STILL)

    async def entering() -> float:
        begun = time.monotonic()
        await gate.enter()
        gate.leave()
        return time.monotonic() - begun

    for _ in range(2):
        gate.failed(Unavailable("reset"), 1, number(gate), now())
    assert await entering() < 0.02
    gate.failed(Unavailable("reset"), 1, number(gate), now())
    assert await entering() >= 0.02
    gate.succeeded(gate.pacing.number)
    gate.failed(Unavailable("reset"), 1, number(gate), now())
    assert await entering() < 0.02


async def test_a_closed_gate_turns_away_those_who_wait_and_lets_in_one_who_comes_later() -> None:
    gate = Admission(4, STILL)
    begun = now()
    for _ in range(4):
        await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.close(Unauthorized("bad key", help="another key"))
    with pytest.raises(Unauthorized, match="bad key") as caught:
        await waiting
    assert caught.value.help == "another key"
    for _ in range(4):
        gate.leave()
    between = now()
    gate.told()
    for late in (begun, between):  # calls that begin before anybody knows, and get here after
        with pytest.raises(Unauthorized, match="bad key"):
            await gate.enter(since=late)
    alone = await gate.enter(since=now())
    others = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(other.done() for other in others)
    gate.succeeded(alone)
    await asyncio.gather(*others)


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


def test_an_answer_is_a_straggler_once_the_pace_is_known() -> None:
    stragglers = Stragglers()
    for _ in range(19):
        stragglers.answered(0.5)
    assert stragglers.after() is None
    stragglers.answered(2.0)
    assert stragglers.after() == 2.0
    for _ in range(200):
        stragglers.answered(0.5)
    assert stragglers.after() == 0.5


async def test_a_slow_answer_after_quick_ones_is_waited_for() -> None:
    """Nothing shorter than the file's `timeout` ends a request."""
    lm = LM(name="fake", model="embedded/m", timeout=120.0, retry=0)
    took = await asyncio.to_thread(lambda: limited.waited(limited.through_engine(Slow(), 100, 4, lm)))
    assert 110.0 <= took < 120.0


class Slow(limited.Server):
    """Answers at once, but for the last one."""

    async def complete(self, request: Request) -> Answer:
        await asyncio.sleep(110.0 if request.messages[-1].content == "row 99" else 0.1)
        return Answer("done", Usage(1, 1))


async def test_headers_hold_back_what_would_be_refused() -> None:
    """A server that says what is left refuses nothing, and is as busy as it lets itself be."""
    server = limited.Server(limited.Bucket(50.0, 100.0), latency=0.2, says=True)
    took = await asyncio.to_thread(lambda: limited.waited(limited.through_engine(server, 1000, 64)))
    assert server.refused <= 10
    assert took <= 1.1 * (1000 - 100) / 50 + 1.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e12), st.floats(0, 1e12), st.floats(0, 1e12))))
def test_whatever_headers_say_nobody_waits_longer_than_a_minute(
    said: list[tuple[bool, float, float, float]],
) -> None:
    pacing = Pacing()
    for count, left, seconds, whole in said:
        quota = Quota(left, seconds, whole)
        pacing.told(Quotas(quota if count else None, quota), pacing.begun(0.0), 0.0, Usage(3, 4))
        assert 0.0 <= pacing.due(1.0) <= 60.0
