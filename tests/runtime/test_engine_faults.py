"""What a provider may do wrong, one fault at a time and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from requesting import FAST, ask, fake_lm
from server import Call, FakeServer

from dspec.runtime.errors import (
    ConfigurationError,
    ProviderError,
    RateLimited,
    Refused,
    Stopped,
    Unauthorized,
    Unavailable,
)
from dspec.runtime.models import engine as engine_module
from dspec.runtime.models.engine import CallEvent, Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.limits import FURTHER, Backoff
from dspec.runtime.models.protocol import Answer

PASSING = [
    "429",
    "429:0.01",
    "408",
    "500",
    "503",
    "529",
    "reset",
    "cut",
    "malformed",
    "html",
    "empty",
    "null",
    "choices",
    "huge",
    "deep",
]
FINAL = [
    ("400", Refused, "told to say 400"),
    ("404", Refused, "told to say 404"),
    ("413", Refused, "told to say 413"),
    ("422", Refused, "told to say 422"),
    ("filter", Refused, "content filter"),
    ("redirect", Refused, "307"),
    ("401", Unauthorized, "key was not accepted"),
    ("403", Unauthorized, "key was not accepted"),
    ("402", Unauthorized, "no credit left"),
    ("quota", Unauthorized, "no credit left"),
]


@pytest.mark.parametrize("fault", PASSING)
async def test_a_passing_fault_is_asked_again(fault: str) -> None:
    async with FakeServer(faults=[fault, fault]) as server, Engine(backoff=FAST) as engine:
        completion = await engine.complete(ask(fake_lm(server.url)))
    assert completion.answer.text == "You said: hello"
    assert (len(server.calls), engine.tally.calls, engine.tally.attempts) == (3, 1, 3)


@pytest.mark.parametrize("fault", ["429", "500", "reset", "malformed", "empty"])
async def test_a_call_that_keeps_failing_is_tried_no_more_often_while_others_are_answered(fault: str) -> None:
    async def answer(call: Call) -> str:
        await asyncio.sleep(0.005)
        return call.prompt

    def fails(call: Call) -> str | None:
        return fault if call.prompt == "unlucky" else None

    async with FakeServer(answer, faults=fails) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, retry=1)
        unlucky = asyncio.create_task(engine.complete(ask(lm, "unlucky")))
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(100)))
        with pytest.raises(RateLimited if fault == "429" else Unavailable):
            await unlucky
    assert sum(call.prompt == "unlucky" for call in server.calls) == 2


@pytest.mark.parametrize("fault", ["429", "500", "reset", "malformed", "empty"])
async def test_a_lasting_fault_is_given_up_after_exactly_the_retries(fault: str) -> None:
    async with FakeServer(faults={fault: 1.0}) as server, Engine(backoff=FAST) as engine:
        with pytest.raises(RateLimited if fault == "429" else Unavailable, match="after 3 attempts"):
            await engine.complete(ask(fake_lm(server.url, retry=2)))
    assert (len(server.calls), engine.tally.failed) == (3, 1)


@pytest.mark.parametrize(("fault", "kind", "said"), FINAL)
async def test_a_final_fault_is_asked_once(fault: str, kind: type[ProviderError], said: str) -> None:
    async with FakeServer(faults={fault: 1.0}) as server, Engine(backoff=FAST) as engine:
        with pytest.raises(kind, match=said) as caught:
            await engine.complete(ask(fake_lm(server.url)))
    assert len(server.calls) == 1
    assert str(caught.value).startswith(f"lm fake (openai/gpt-4o-mini) at {server.url}: ")


async def test_stopping_at_max_tokens_is_an_answer_that_says_so() -> None:
    async with FakeServer(faults=["length"]) as server, Engine() as engine:
        completion = await engine.complete(ask(fake_lm(server.url)))
    assert completion.answer.finish_reason == "length"


async def test_retry_after_is_waited_by_whom_it_was_said_to() -> None:
    async with FakeServer(faults=["429:0.4"]) as server, Engine(backoff=FAST, threads=4) as engine:
        lm = fake_lm(server.url)
        begun = time.monotonic()
        first = asyncio.create_task(engine.complete(ask(lm, "first")))
        await asyncio.sleep(0.1)
        await engine.complete(ask(lm, "second"))
        others = time.monotonic() - begun
        await first
        own = time.monotonic() - begun
    assert others < 0.3
    assert 0.4 <= own < 0.7


async def test_retry_after_is_waited_by_everyone_once_a_limit_was_met() -> None:
    faults = ["429:0.5"] * 24
    async with FakeServer(faults=faults) as server, Engine(backoff=FAST, threads=24) as engine:
        lm = fake_lm(server.url)
        begun = time.monotonic()
        run = asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(24)))
        await asyncio.sleep(0.2)
        await engine.complete(ask(lm, "another"))
        assert time.monotonic() - begun >= 0.4
        await run
    assert len(server.calls) == 49


async def test_a_server_that_asks_for_a_wait_with_another_status_gets_it() -> None:
    async with FakeServer(faults=["503:0.4"]) as server, Engine(backoff=FAST) as engine:
        begun = time.monotonic()
        await engine.complete(ask(fake_lm(server.url)))
        assert 0.4 <= time.monotonic() - begun < 0.9


async def test_answers_on_their_way_are_waited_for_as_long_as_their_timeout_lets_them() -> None:
    async with FakeServer(latency=0.3) as server, Engine() as engine:
        lm = fake_lm(server.url, timeout=5.0)
        asked = asyncio.create_task(engine.complete(ask(lm)))
        await asyncio.sleep(0.1)
        await engine.drain()
        assert (await asked).source == "model"
    async with FakeServer(faults={"hang": 1.0}) as server, Engine() as engine:
        asked = asyncio.create_task(engine.complete(ask(fake_lm(server.url, timeout=0.4))))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(20.0):
            await engine.drain()
        with pytest.raises(Stopped):
            await asked


async def test_a_pause_of_one_endpoint_leaves_others_alone() -> None:
    async with FakeServer(faults=["429:60"]) as paused, FakeServer() as free, Engine(threads=1) as engine:
        waiting = asyncio.create_task(engine.complete(ask(fake_lm(paused.url))))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(30.0):
            await engine.complete(ask(fake_lm(free.url)))
        assert not waiting.done()


async def test_a_wait_of_hours_is_reported_instead() -> None:
    async with FakeServer(faults=["429:7200"]) as server, Engine() as engine:
        with pytest.raises(RateLimited, match="429") as caught:
            await engine.complete(ask(fake_lm(server.url)))
        async with asyncio.timeout(60.0):
            assert (await engine.complete(ask(fake_lm(server.url), "another"))).source == "model"
    assert caught.value.retry_after == 7200


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_the_deadline_holds_for_the_whole_attempt(fault: str) -> None:
    async with FakeServer(faults={fault: 1.0}) as server, Engine(backoff=FAST) as engine:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"no whole answer within 0\.3 s"):
            await engine.complete(ask(fake_lm(server.url, timeout=0.3, retry=1)))
    assert 0.6 <= time.monotonic() - begun < 1.6
    assert len(server.calls) == 2


async def test_no_server_at_all() -> None:
    async with FakeServer() as server:
        url = server.url
    async with Engine(backoff=FAST) as engine:
        with pytest.raises(Unavailable, match="after 5 attempts: the connection failed"):
            await engine.complete(ask(fake_lm(url)))


async def test_a_dead_endpoint_pauses_everyone_and_recovers() -> None:
    patient = Backoff(base=0.05, cap=0.2)
    events: list[CallEvent] = []
    async with (
        FakeServer(dead_from=10) as server,
        Engine(backoff=patient, threads=4, on_event=events.append) as engine,
    ):
        lm = fake_lm(server.url, retry=20)
        run = asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(40)))
        await asyncio.sleep(1.0)
        asked_while_dead = len(server.calls) - 9
        server.dead_from = None
        assert len(await run) == 40
    # four callers retrying on their own every 0.2 s would have made many more
    assert asked_while_dead <= 45
    assert engine.tally.failed == 0


async def test_a_run_full_of_faults_loses_no_row_and_gives_the_same_answers() -> None:
    rates = {"429:0.01": 0.05, "500": 0.05, "reset": 0.05, "cut": 0.05, "malformed": 0.05, "empty": 0.05}
    prompts = [f"row {i}" for i in range(200)]
    async with FakeServer(faults={**rates, "hang": 0.01}) as server, Engine(backoff=FAST) as engine:
        lm = fake_lm(server.url, timeout=0.5, retry=8)
        completions = await asyncio.gather(*(engine.complete(ask(lm, prompt)) for prompt in prompts))
    assert [c.answer.text for c in completions] == [f"You said: {prompt}" for prompt in prompts]
    assert all(count == 1 for count in server.answered.values())
    assert len(server.answered) == 200
    assert len(server.calls) / 200 <= 1.6  # 31 of 100 attempts fail: 1.45 expected


def leave_room(ledger: Ledger, pages: int) -> None:
    """SQLite says that the disk is full once the file has so many pages of 4 kB."""
    ledger._writer.execute(f"PRAGMA max_page_count = {pages}")


async def test_once_an_answer_cannot_be_kept_nothing_is_sent_to_any_endpoint(tmp_path: Path) -> None:
    """The answers that were on their way come one by one, after others could not be kept."""

    async def answer(call: Call) -> str:
        await asyncio.sleep(0.02 + 0.01 * (len(call.prompt) % 7))
        return call.prompt

    async def keeps_asking(engine: Engine, url: str, name: int) -> None:
        for turn in range(6):
            text = "x" * (name + 7 * turn) + f" {name} {turn}"
            with contextlib.suppress(ConfigurationError):
                await engine.complete(ask(fake_lm(url), text))

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        leave_room(ledger, 8)
        async with (
            FakeServer(answer) as one,
            FakeServer(answer) as other,
            Engine(threads=8, ledger=ledger) as engine,
        ):
            await asyncio.gather(
                *(keeps_asking(engine, server.url, name) for server in (one, other) for name in range(24))
            )
            assert 0 < ledger.count() < len(one.calls) + len(other.calls) <= ledger.count() + 8


async def test_a_small_answer_that_was_on_its_way_does_not_open_what_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(call: Call) -> str:
        await asyncio.sleep(0.1 if "small" in call.prompt else 0.0)
        return "small" if "small" in call.prompt else "large"

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        keep = ledger.put

        async def put(key: bytes, model: str, answer: Answer) -> Answer:
            if answer.text == "large":
                raise ConfigurationError("the disk is full")
            return await keep(key, model, answer)

        monkeypatch.setattr(ledger, "put", put)
        async with FakeServer(answer) as server, Engine(threads=2, ledger=ledger) as engine:
            lm = fake_lm(server.url)
            first, second = await asyncio.gather(
                engine.complete(ask(lm, "large")), engine.complete(ask(lm, "small")), return_exceptions=True
            )
            assert isinstance(first, ConfigurationError)
            assert not isinstance(second, BaseException)
            with pytest.raises(ConfigurationError, match="full"):
                await engine.complete(ask(lm, "later"))
            assert len(server.calls) == 2


async def test_once_there_is_room_again_asking_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_UNKEPT", 0.1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        async with FakeServer() as server, Engine(threads=8, ledger=ledger) as engine:
            leave_room(ledger, 20)
            with pytest.raises(ConfigurationError, match="full"):
                await asyncio.gather(
                    *(engine.complete(ask(fake_lm(server.url), f"{number}")) for number in range(400))
                )
            asked = len(server.calls)
            with pytest.raises(ConfigurationError, match="full"):
                await engine.complete(ask(fake_lm(server.url), "soon"))
            assert len(server.calls) == asked
            leave_room(ledger, 20_000)
            await asyncio.sleep(0.12)
            await asyncio.gather(*(engine.complete(ask(fake_lm(server.url), f"later {n}")) for n in range(9)))
            assert len(server.calls) == asked + 9


@pytest.mark.parametrize("fault", ["500", "reset"])
async def test_where_a_third_of_all_requests_fail_every_row_is_answered(fault: str) -> None:
    """One in 243 fails five times in a row, which is as often as a lone request is sent."""
    times: Counter[str] = Counter()

    def fails(call: Call) -> str | None:
        # By the row and how often it was asked: which rows are unlucky does not depend on arrival.
        times[call.prompt] += 1
        draw = random.Random(f"{call.prompt}: {times[call.prompt]}").random()
        return fault if draw < 1 / 3 else None

    async with FakeServer(faults=fails) as server, Engine(threads=16, backoff=FAST) as engine:
        lm = fake_lm(server.url)
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(800)))
        asked = Counter(call.prompt for call in server.calls)
    assert engine.tally.failed == 0
    assert 5 < max(asked.values()) <= 5 + FURTHER


@pytest.mark.parametrize(("fault", "times"), [("500", 5 + FURTHER), ("empty", 5)])
async def test_what_keeps_failing_is_given_up_at_last_and_an_empty_answer_sooner(
    fault: str, times: int
) -> None:
    def fails(call: Call) -> str | None:
        return fault if call.prompt == "unlucky" else None

    async with FakeServer(faults=fails) as server, Engine(threads=4, backoff=FAST) as engine:
        lm = fake_lm(server.url)
        assert lm.insists
        unlucky = asyncio.create_task(engine.complete(ask(lm, "unlucky")))
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(60)))
        with pytest.raises(Unavailable):
            await unlucky
        assert sum(call.prompt == "unlucky" for call in server.calls) == times


async def test_a_number_that_was_written_is_kept_to_though_it_is_the_usual_one() -> None:
    def fails(call: Call) -> str | None:
        return "500" if call.prompt == "unlucky" else None

    async with FakeServer(faults=fails) as server, Engine(threads=4, backoff=FAST) as engine:
        lm = fake_lm(server.url, retry=4, retry_said=True)
        unlucky = asyncio.create_task(engine.complete(ask(lm, "unlucky")))
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(60)))
        with pytest.raises(Unavailable, match="after 5 attempts"):
            await unlucky
        assert sum(call.prompt == "unlucky" for call in server.calls) == 5
