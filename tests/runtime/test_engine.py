"""The engine's promises: asked once, kept before used, so many at a time, stopped cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from requesting import FAST, ask, eventually, fake_lm
from server import Call, FakeServer

from dspec.runtime.errors import ConfigurationError, DspecError, Refused, Stopped, Unauthorized
from dspec.runtime.models.engine import CallEvent, Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.ledger_upkeep import prune
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import JsonValue


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


async def test_a_request_is_asked_once_and_then_replayed(ledger: Ledger) -> None:
    async with FakeServer() as server:
        request = ask(fake_lm(server.url))
        async with Engine(ledger=ledger) as engine:
            first = await engine.complete(request)
            again = await engine.complete(request)
        async with Engine(ledger=ledger) as engine:
            later = await engine.complete(request)
    assert [first.source, again.source, later.source] == ["model", "ledger", "ledger"]
    assert first.answer == again.answer == later.answer
    assert first.answer.text == "You said: hello"
    assert len(server.calls) == 1


async def test_identical_requests_in_flight_share_one_call() -> None:
    async with FakeServer(latency=0.05) as server, Engine() as engine:
        requests = [ask(fake_lm(server.url), f"row {i % 3}") for i in range(12)]
        completions = await asyncio.gather(*map(engine.complete, requests))
    assert len(server.calls) == 3
    assert [c.source for c in completions] == ["model"] * 3 + ["shared"] * 9
    assert (engine.tally.calls, engine.tally.shared) == (3, 9)


async def test_requests_differ_by_sample_temperature_and_endpoint_but_not_by_name() -> None:
    lm = fake_lm("http://localhost:1/v1")
    base = ask(lm).identity()
    others = [
        ask(lm, sample=1),
        ask(lm, temperature=0.7),
        ask(lm, response_format={"type": "json_object"}),
        ask(fake_lm("http://localhost:2/v1")),
        ask(fake_lm("http://localhost:1/v1", max_tokens=5)),
        ask(lm, "other"),
    ]
    assert len({base, *(request.identity() for request in others)}) == 7
    assert ask(fake_lm("http://localhost:1/v1/", name="renamed", timeout=1.0, retry=0)).identity() == base


async def test_as_many_calls_at_once_as_asked_and_no_more() -> None:
    async with FakeServer(latency=0.05) as server, Engine(threads=6) as engine:
        lm = fake_lm(server.url)
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(24)))
    assert server.most_in_flight == 6


async def test_wide_engines_are_not_capped_by_the_transport() -> None:
    async with FakeServer(latency=0.3) as server, Engine(threads=150) as engine:
        lm = fake_lm(server.url)
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(150)))
    assert server.most_in_flight == 150


async def test_max_parallel_narrows_one_lm_only() -> None:
    async with (
        FakeServer(latency=0.05) as narrow,
        FakeServer(latency=0.05) as wide,
        Engine(threads=16) as engine,
    ):
        lms = [fake_lm(narrow.url, max_parallel=2), fake_lm(wide.url)]
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(8) for lm in lms))
    assert (narrow.most_in_flight, wide.most_in_flight) == (2, 8)


async def test_tally_and_events_add_up(ledger: Ledger) -> None:
    events: list[CallEvent] = []
    async with FakeServer(faults=["500"]) as server:
        lm = fake_lm(server.url, price_input=1_000_000.0, price_output=2_000_000.0)
        async with Engine(ledger=ledger, on_event=events.append, backoff=FAST) as engine:
            await engine.complete(ask(lm))
            await engine.complete(ask(lm))
    tally = engine.tally
    assert (tally.calls, tally.attempts, tally.replayed, tally.failed) == (1, 2, 1, 0)
    assert (tally.spent.input_tokens, tally.spent.output_tokens, tally.spent.usd) == (3, 3, 9.0)
    assert [event.kind for event in events] == ["started", "retrying", "started", "answered", "replayed"]
    assert "told to say 500" in events[1].error
    assert (events[3].attempt, events[3].cost) == (2, 9.0)


async def test_answers_without_usage_are_estimated_and_marked() -> None:
    notes: list[str] = []
    async with (
        FakeServer(faults=["no_usage", "zero_usage"]) as server,
        Engine(on_note=notes.append) as engine,
    ):
        answers = [(await engine.complete(ask(fake_lm(server.url), f"row {i}"))).answer for i in (0, 1)]
    assert all(answer.usage.estimated and answer.usage.input_tokens > 0 for answer in answers)
    assert all(answer.cost for answer in answers)
    assert engine.tally.estimated == 2
    (note,) = notes
    assert "does not say what its answers take; tokens are estimated" in note
    assert note.startswith("lm ")


async def test_the_embedded_model_answers_and_is_free(ledger: Ledger) -> None:
    request = Request(LM(name="toy", model="embedded/icl"), (Message("user", "hello"),))
    async with Engine(ledger=ledger) as engine:
        completion = await engine.complete(request)
        assert (await engine.complete(request)).source == "ledger"
    assert completion.answer.cost == 0.0


async def test_a_missing_key_is_named_before_any_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    async with FakeServer() as server, Engine() as engine:
        with pytest.raises(ConfigurationError, match=r"lm fake .* SOME_KEY, which is not set"):
            await engine.complete(ask(fake_lm(server.url, api_key_env="SOME_KEY")))
        monkeypatch.setenv("SOME_KEY", "sk-now-it-is-set")
        assert (await engine.complete(ask(fake_lm(server.url, api_key_env="SOME_KEY")))).answer.text
    assert len(server.calls) == 1


async def test_a_rejected_key_turns_everyone_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-old")
    async with FakeServer(faults={"401": 1.0}, latency=0.02) as server:
        lm = fake_lm(server.url, api_key_env="SOME_KEY")
        async with Engine(threads=4) as engine:
            results = await asyncio.gather(
                *(engine.complete(ask(lm, f"row {i}")) for i in range(40)), return_exceptions=True
            )
            assert all(isinstance(result, Unauthorized) for result in results)
            assert len(server.calls) <= 4
            assert "check the key in SOME_KEY" in str(getattr(results[-1], "help", ""))
            with pytest.raises(Unauthorized):
                await engine.complete(ask(lm, "one more"))
            monkeypatch.setenv("SOME_KEY", "sk-new")
            with pytest.raises(Unauthorized):
                await engine.complete(ask(lm, "one more"))
            server.faults = ()
            assert (await engine.complete(ask(lm, "one more"))).source == "model"


async def test_a_key_that_is_right_again_works_at_once() -> None:
    async with FakeServer(faults=["401"]) as server, Engine() as engine:
        lm = fake_lm(server.url)
        with pytest.raises(Unauthorized):
            await engine.complete(ask(lm, "row 0"))
        async with asyncio.timeout(20.0):
            await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(20)))
    assert len(server.calls) == 21


def refusing(*names: str) -> Callable[[Call], str | None]:
    """A model that takes no value for these parameters."""
    return lambda call: next((f"unsupported:{name}" for name in names if name in call.body), None)


async def test_a_parameter_that_a_model_does_not_take_is_left_out_and_that_is_said_once(
    ledger: Ledger,
) -> None:
    notes: list[str] = []
    async with FakeServer(faults=refusing("temperature", "seed", "response_format"), latency=0.01) as server:
        lm = fake_lm(server.url, temperature=0.7, seed=3, retry=0, max_tokens=9)
        format_: dict[str, JsonValue] = {"type": "json_object"}
        requests = [ask(lm, f"row {i}", temperature=1.4, response_format=format_) for i in range(40)]
        async with Engine(threads=8, ledger=ledger, on_note=notes.append) as engine:
            await asyncio.gather(*map(engine.complete, requests))
            # what is kept is kept for what was asked
            assert (await engine.complete(requests[0])).source == "ledger"
            other = fake_lm(server.url, name="other", temperature=0.2)
            await engine.complete(ask(other))
        assert (engine.tally.calls, engine.tally.failed, engine.tally.spoiled) == (41, 0, 0)
    assert len(server.calls) <= 41 + 3 * 8
    assert all(call.body["max_tokens"] == 9 for call in server.calls[:-1])
    assert [note.partition(" as it was set")[0].rpartition(" ")[2] for note in notes] == [
        "`temperature`",
        "`seed`",
        "`response_format`",
    ]


SCHEMA: dict[str, JsonValue] = {
    "type": "json_schema",
    "json_schema": {"name": "a", "strict": True, "schema": {}},
}
OBJECT: dict[str, JsonValue] = {"type": "json_object"}
SAID = (
    "says:Invalid schema for response_format 'a': In context=(), 'required' is required to be supplied",
    "says:This response_format type is unavailable now",
    "says:response_schema is too complex to be served",
    "says:Structured Outputs are not supported here",
)


def forms(server: FakeServer) -> list[str]:
    return [call.body.get("response_format", {}).get("type", "none") for call in server.calls]


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize(
    ("takes", "sent"),
    [
        (("json_schema", "json_object", "none"), ["json_schema"]),
        (("json_object", "none"), ["json_schema", "json_object"]),
        (("none",), ["json_schema", "json_object", "none"]),
    ],
)
async def test_a_form_that_a_model_refuses_falls_back_once(
    ledger: Ledger, said: str, takes: Sequence[str], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was learned holds for the endpoint's model; the ledger has one key however it was sent."""
    monkeypatch.setattr("dspec.runtime.models.prices.takes_schema", lambda _: True)
    notes: list[str] = []

    def fault(call: Call) -> str | None:
        return None if call.body.get("response_format", {}).get("type", "none") in takes else said

    async with FakeServer(faults=fault) as server:
        requests = [
            ask(fake_lm(server.url, retry=0), f"row {i}", response_format=OBJECT, form=SCHEMA)
            for i in range(3)
        ]
        async with Engine(ledger=ledger, on_note=notes.append) as engine:
            answers = [(await engine.complete(request)).answer.text for request in requests]
        assert forms(server) == [*sent, sent[-1], sent[-1]]
        assert (engine.tally.calls, engine.tally.refitted, engine.tally.failed) == (3, len(sent) - 1, 0)
        assert len(notes) == len(sent) - 1
        # A later run knows the answers, whatever the list of models says by then, and asks the next one anew.
        monkeypatch.setattr("dspec.runtime.models.prices.takes_schema", lambda _: False)
        bare = [replace(request, form=None) for request in requests]
        async with Engine(ledger=ledger, on_note=notes.append) as engine:
            again = [await engine.complete(request) for request in (*requests, *bare)]
        assert [one.source for one in again] == ["ledger"] * 6
        assert [one.answer.text for one in again] == [*answers, *answers]
        assert len(server.calls) == len(sent) + 2


async def test_a_request_that_is_known_by_its_schema_falls_back_as_well(ledger: Ledger) -> None:
    def fault(call: Call) -> str | None:
        return SAID[0] if call.body["response_format"]["type"] == "json_schema" else None

    async with FakeServer(faults=fault) as server, Engine(ledger=ledger, on_note=str) as engine:
        for row in range(2):
            await engine.complete(ask(fake_lm(server.url), f"row {row}", response_format=SCHEMA, form=SCHEMA))
    assert forms(server) == ["json_schema", "json_object", "json_object"]


async def test_a_model_that_nothing_is_listed_of_is_asked_for_an_object() -> None:
    async with FakeServer() as server, Engine() as engine:
        await engine.complete(ask(fake_lm(server.url), response_format=OBJECT, form=SCHEMA))
    assert forms(server) == ["json_object"]


NAMED = (
    "says404:Unknown field: response_format",
    "says415:response_format not allowed",
    "says422:Extra inputs are not permitted: response_format",
    "says500:response_format is not supported",
    "says501:response_format: not implemented",
    "says:Bad request",
    "says415:Unsupported Media Type",
    "says422:Unprocessable Entity",
)


@pytest.mark.parametrize("said", NAMED)
async def test_a_form_is_refused_by_any_status_and_remembered_for_the_next_command(
    ledger: Ledger, said: str
) -> None:
    def fault(call: Call) -> str | None:
        return said if "response_format" in call.body else None

    async with FakeServer(faults=fault, latency=0.02) as server:
        lm = fake_lm(server.url, retry=0)

        async def command(row: str, number: int) -> Engine:
            async with Engine(ledger=ledger, on_note=str) as engine:
                requests = [ask(lm, f"{row} {i}", response_format=OBJECT) for i in range(number)]
                await asyncio.gather(*map(engine.complete, requests))
            return engine

        engine = await command("first", 4)
        assert engine.tally.calls == engine.tally.refitted == 4  # all that were on their way
        assert forms(server) == ["json_object"] * 4 + ["none"] * 4
        await command("next", 2)
        assert forms(server)[8:] == ["none"] * 2
        prune(ledger.path, model=lm.model)
        await command("forgotten", 1)
        assert forms(server)[10:] == ["json_object", "none"]


@pytest.mark.parametrize("said", ["says:Bad request", "says422:"])
async def test_what_is_refused_without_a_word_is_tried_without_a_form_once(said: str) -> None:
    async with FakeServer(faults={said: 1.0}, latency=0.02) as server:
        lm = fake_lm(server.url, retry=0)
        async with Engine(on_note=str) as engine:
            requests = [ask(lm, f"row {i}", response_format=OBJECT) for i in range(4)]
            told = await asyncio.gather(*map(engine.complete, requests), return_exceptions=True)
            with pytest.raises(Refused):
                await engine.complete(ask(lm, "later", response_format=OBJECT))
    assert all(isinstance(one, Refused) for one in told)
    assert forms(server) == ["json_object"] * 4 + ["none", "json_object"]
    assert engine.tally.refitted == 0


async def test_a_refusal_with_a_reason_is_no_refusal_of_the_form() -> None:
    said = "says:messages[0] has a role that nobody knows"
    async with FakeServer(faults={said: 1.0}) as server, Engine() as engine:
        with pytest.raises(Refused, match="a role that nobody knows"):
            await engine.complete(ask(fake_lm(server.url), response_format=OBJECT))
    assert forms(server) == ["json_object"]


async def test_who_tries_without_a_form_may_be_cancelled(ledger: Ledger) -> None:
    def fault(call: Call) -> str | None:
        return "says:Bad request" if "response_format" in call.body else "hang" if call.number == 2 else None

    async with FakeServer(faults=fault) as server, Engine(on_note=str) as engine:
        lm = fake_lm(server.url)
        trying = asyncio.create_task(engine.complete(ask(lm, "a", response_format=OBJECT)))
        while len(server.calls) < 2:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(engine.complete(ask(lm, "b", response_format=OBJECT)))
        while len(server.calls) < 3:
            await asyncio.sleep(0.01)
        trying.cancel()
        assert (await waiting).source == "model"
    assert forms(server) == ["json_object", "none", "json_object", "none"]


async def test_another_name_for_max_tokens_is_learned_and_the_bound_kept() -> None:
    notes: list[str] = []

    def fault(call: Call) -> str | None:
        return "unsupported:max_completion_tokens" if "max_tokens" in call.body else None

    async with FakeServer(faults=fault) as server, Engine(on_note=notes.append) as engine:
        for i in range(3):
            await engine.complete(ask(fake_lm(server.url, max_tokens=9, retry=0), f"row {i}"))
    assert [call.body.get("max_completion_tokens") for call in server.calls] == [None, 9, 9, 9]
    assert len(notes) == 1


async def test_a_model_that_refuses_whatever_is_sent_is_asked_a_bounded_number_of_times() -> None:
    said = "unsupported:temperature seed response_format max_tokens max_completion_tokens"
    async with FakeServer(faults=lambda call: said) as server, Engine(on_note=str) as engine:
        lm = fake_lm(server.url, temperature=1.0, seed=3, max_tokens=9)
        with pytest.raises(Refused, match="400"):
            await engine.complete(ask(lm))
    assert len(server.calls) <= 4


async def test_an_asker_that_leaves_does_not_take_the_call_from_the_others() -> None:
    async with FakeServer(latency=0.1) as server, Engine() as engine:
        first = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        second = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        await asyncio.sleep(0.05)
        first.cancel()
        assert (await second).answer.text == "You said: hello"
    assert len(server.calls) == 1
    assert server.hung_up == 0


async def test_who_asks_while_a_call_is_being_dropped_is_answered() -> None:
    async with FakeServer(latency=0.1) as server, Engine() as engine:
        first = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        await asyncio.sleep(0.05)
        first.cancel()
        second = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        assert (await second).source == "model"
    assert first.cancelled()
    assert len(server.calls) == 2


async def test_a_call_on_its_way_is_kept_though_its_asker_left(ledger: Ledger) -> None:
    async with FakeServer(latency=0.1) as server:
        request = ask(fake_lm(server.url))
        async with Engine(ledger=ledger) as engine:
            asker = asyncio.create_task(engine.complete(request))
            await asyncio.sleep(0.05)
            asker.cancel()
            assert (await engine.complete(request)).source == "shared"
    assert (len(server.calls), ledger.count()) == (1, 1)


async def test_without_a_ledger_an_unwanted_call_is_hung_up() -> None:
    async with FakeServer(latency=30.0) as server, Engine() as engine:
        asker = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        await eventually(lambda: bool(server.calls))
        asker.cancel()
        await asyncio.wait([asker])
        await eventually(lambda: bool(server.hung_up))
    assert server.hung_up == 1


async def test_waiting_calls_are_dropped_with_their_askers(ledger: Ledger) -> None:
    async with FakeServer(latency=0.05) as server:
        lm = fake_lm(server.url)
        async with Engine(threads=1, ledger=ledger) as engine:
            tasks = [asyncio.create_task(engine.complete(ask(lm, f"row {i}"))) for i in range(5)]
            await asyncio.sleep(0.02)
            for task in tasks[1:]:
                task.cancel()
            await tasks[0]
            assert (await engine.complete(ask(lm, "row 9"))).source == "model"
    assert [call.prompt for call in server.calls] == ["row 0", "row 9"]


async def test_drain_starts_nothing_and_keeps_what_is_on_its_way(ledger: Ledger) -> None:
    async with FakeServer(latency=0.1) as server:
        lm = fake_lm(server.url)
        async with Engine(threads=3, ledger=ledger) as engine:
            tasks = [asyncio.create_task(engine.complete(ask(lm, f"row {i}"))) for i in range(10)]
            await asyncio.sleep(0.05)
            await engine.drain(5.0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            with pytest.raises(Stopped):
                await engine.complete(ask(lm, "too late"))
            assert (await engine.complete(ask(lm, "row 0"))).source == "ledger"
    assert [isinstance(result, Stopped) for result in results] == [False] * 3 + [True] * 7
    assert (len(server.calls), ledger.count()) == (3, 3)


async def test_closing_hangs_up_and_keeps_what_was_answered(ledger: Ledger) -> None:
    async def answer(call: Call) -> str:
        await asyncio.sleep(0 if call.prompt == "quick" else 30)
        return "done"

    async with FakeServer(answer) as server:
        lm = fake_lm(server.url)
        engine = Engine(ledger=ledger)
        slow = asyncio.create_task(engine.complete(ask(lm, "slow")))
        await engine.complete(ask(lm, "quick"))
        await eventually(lambda: len(server.calls) == 2)
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(Stopped):
            await slow
        await eventually(lambda: bool(server.hung_up))
    assert ledger.count() == 1


async def test_closing_when_nothing_was_asked() -> None:
    engine = Engine()
    await engine.aclose()
    with pytest.raises(Stopped):
        await engine.complete(ask(LM(name="toy", model="embedded/icl")))


async def test_an_unknown_embedded_model_is_refused() -> None:
    async with Engine() as engine:
        with pytest.raises(Refused, match="embedded/nothing"):
            await engine.complete(ask(LM(name="toy", model="embedded/nothing")))


async def test_two_engines_share_a_ledger_file(tmp_path: Path) -> None:
    async with FakeServer() as server:
        lm = fake_lm(server.url)
        with Ledger(tmp_path / "shared.sqlite") as one, Ledger(tmp_path / "shared.sqlite") as two:
            async with Engine(ledger=one) as first, Engine(ledger=two) as second:
                await asyncio.gather(*(first.complete(ask(lm, f"row {i}")) for i in range(20)))
                sources = [(await second.complete(ask(lm, f"row {i}"))).source for i in range(25)]
    assert sources == ["ledger"] * 20 + ["model"] * 5
    assert len(server.calls) == 25


async def test_a_ledger_written_by_two_at_once_gives_both_the_same_answer(tmp_path: Path) -> None:
    async with FakeServer(lambda call: f"answer {call.number}", latency=0.02) as server:
        lm = fake_lm(server.url)
        with Ledger(tmp_path / "shared.sqlite") as one, Ledger(tmp_path / "shared.sqlite") as two:
            async with Engine(ledger=one) as first, Engine(ledger=two) as second:
                requests = [ask(lm, f"row {i}") for i in range(10)]
                mine, yours = await asyncio.gather(
                    asyncio.gather(*map(first.complete, requests)),
                    asyncio.gather(*map(second.complete, requests)),
                )
    assert len(server.calls) == 20
    assert [c.answer.text for c in mine] == [c.answer.text for c in yours]


async def test_no_key_in_ledger_errors_events_or_reprs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    canary, word = "planted/Key+that=looks_like_nothing-1234567890", "planted-password"
    monkeypatch.setenv("SOME_KEY", canary)
    events: list[CallEvent] = []
    shown: list[str] = []
    faults = ["leak:400", "leak:401", "leak:429", "leak:500", "leak:404"]
    async with FakeServer(faults=[*faults, None]) as server:
        monkeypatch.setenv("SOME_BASE", server.url.replace("http://", f"http://user:{word}@"))
        for i in range(len(faults) + 1):
            lm = fake_lm("", api_base=None, api_base_env="SOME_BASE", api_key_env="SOME_KEY", retry=0)
            async with Engine(ledger=ledger, on_event=events.append) as engine:
                try:
                    await engine.complete(ask(lm, f"row {i}"))
                except DspecError as error:
                    shown += [repr(error), str(error), error.help]
                shown += [repr(engine), repr(vars(engine)), ask(lm).identity()]
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(call.headers["Authorization"] == f"Bearer {canary}" for call in server.calls)
    assert len(server.calls) == len(faults) + 1
    for secret in (canary, word):
        assert secret not in "".join(shown) + repr(events)
        assert secret.encode() not in stored
    assert "***" in "".join(shown)
    assert b"You said: row 5" in stored


async def test_a_cancelled_asker_stays_cancelled_while_the_engine_stops() -> None:
    async with FakeServer(latency=30.0) as server:
        engine = Engine()
        asker = asyncio.create_task(engine.complete(ask(fake_lm(server.url))))
        await eventually(lambda: len(server.calls) == 1)
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)
        asker.cancel()
        await asyncio.wait([asker, closing])
    assert asker.cancelled()


async def test_both_transports_behind_the_engine_fill_the_same_ledger(ledger: Ledger) -> None:
    async with FakeServer() as server:
        lms = [fake_lm(server.url), fake_lm(server.url, name="other", timeout=30.0)]
        async with Engine(ledger=ledger, transport="litellm") as engine:
            asked = await asyncio.gather(*(engine.complete(ask(lm, f"to {lm.name}")) for lm in lms))
        async with Engine(ledger=ledger, transport="lean") as engine:
            again = [await engine.complete(ask(lm, f"to {lm.name}")) for lm in lms]
    assert [completion.source for completion in again] == ["ledger", "ledger"]
    assert [c.answer for c in asked] == [c.answer for c in again]
