"""Answers that are heard while they come: the answer, its price and what is kept of it are those of one that comes whole."""

import asyncio
from pathlib import Path

import pytest
from server import FakeServer

from dspec.runtime.errors import ProviderError
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.limits import Backoff
from dspec.runtime.models.protocol import Answer, Hearing, Message, Request, ToolShape
from dspec.runtime.models.transports import Mode
from dspec.runtime.schema.lms import LM

TEXT = "[[ ## answer ## ]]\nSchöne Grüße, 世界 and so on\n\n[[ ## completed ## ]]"


class Ear:
    """Keeps what is said; None where it was taken back."""

    def __init__(self) -> None:
        self.heard: list[str | None] = []

    def said(self, piece: str) -> None:
        self.heard.append(piece)

    def unsaid(self) -> None:
        self.heard.append(None)

    @property
    def last(self) -> str:
        """What counts of it."""
        back = max((place for place, piece in enumerate(self.heard) if piece is None), default=-1)
        return "".join(piece or "" for piece in self.heard[back + 1 :])


def request(server: FakeServer, heard: Hearing | None = None, **settings: object) -> Request:
    lm = LM.model_validate(
        {"name": "m", "model": "openai/m", "api_base": server.url, "timeout": 5, **settings}
    )
    return Request(lm, (Message("user", "Say it."),), heard=heard)


def engine(**settings: object) -> Engine:
    return Engine(backoff=Backoff(base=0.001), on_note=lambda note: None, **settings)  # pyright: ignore[reportArgumentType]


MODES: tuple[Mode, ...] = ("lean", "litellm")
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning")
"""LiteLLM's streams ask Pydantic's models for their fields in a way that goes."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "fault",
    [None, "cut", "reset", "malformed", "error", "whole", "held", "length", "500", "null", "no_usage"],
)
async def test_an_answer_is_the_same_however_it_comes(mode: Mode, fault: str | None) -> None:
    answers: list[Answer] = []
    for ear in (None, Ear()):
        # What befalls a stream in its middle has befallen a whole answer, too.
        async with FakeServer(lambda call: TEXT, faults=[fault if ear else _of_whole(fault)]) as server:
            async with engine(transport=mode) as asked:
                answers.append((await asked.complete(request(server, ear))).answer)
                failing = fault in ("cut", "reset", "malformed", "error", "500", "null")
                # LiteLLM shows nothing of what it takes for a stream and is none
                failing = failing or (fault == "whole" and mode == "litellm" and ear is not None)
                assert len(server.calls) == 1 + failing
        if isinstance(ear, Ear):
            assert ear.last in (TEXT, "" if fault == "whole" else TEXT)
            assert (None in ear.heard) == (fault in ("cut", "reset", "malformed", "error"))
    assert answers[0] == answers[1]


def _of_whole(fault: str | None) -> str | None:
    return {"error": "malformed", "whole": None, "held": None}.get(fault or "", fault)


@pytest.mark.parametrize("mode", MODES)
async def test_calls_of_tools_and_thoughts_are_put_together(mode: Mode) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"where": "here"}'}}
    message = {"content": "Well.", "tool_calls": [call], "reasoning_content": "hm, hm"}
    answers: list[Answer] = []
    for ear in (None, Ear()):
        async with FakeServer(lambda call: message) as server, engine(transport=mode) as asked:
            lm = LM(name="m", model="openai/m", api_base=server.url)
            tools = (ToolShape("look", "", {"type": "object", "properties": {}}),)
            wanted = Request(lm, (Message("user", "?"),), tools=tools, reasoning=True, heard=ear)
            answers.append((await asked.complete(wanted)).answer)
    assert answers[0] == answers[1]
    assert answers[0].calls
    assert answers[0].reasoning == "hm, hm"


async def test_what_is_kept_is_the_same(tmp_path: Path) -> None:
    bodies: list[tuple[bytes, str]] = []
    async with FakeServer(lambda call: TEXT) as server:
        for name, ear in (("whole", None), ("heard", Ear())):
            with Ledger(tmp_path / name) as ledger:
                async with engine(ledger=ledger) as asked:
                    await asked.complete(request(server, ear))
                    again = Ear()
                    kept = await asked.complete(request(server, again))
                    assert (kept.source, again.heard) == ("ledger", [])
                found = ledger._reader.execute("SELECT key, body FROM answers").fetchone()  # pyright: ignore[reportPrivateUsage]
                bodies.append(found)
    assert bodies[0] == bodies[1]


async def test_a_stream_that_does_not_go_on_is_late_like_any_other() -> None:
    ear = Ear()
    async with FakeServer(lambda call: TEXT, faults=["hang"]) as server, engine() as asked:
        answer = (await asked.complete(request(server, ear, timeout=0.3))).answer
    assert answer.text == TEXT
    assert None in ear.heard
    assert ear.last == TEXT


async def test_an_endpoint_that_streams_nothing_is_asked_for_whole_answers() -> None:
    notes: list[str] = []
    async with FakeServer(
        lambda call: TEXT, faults=["unsupported:stream_options", "unsupported:stream"]
    ) as server:
        async with Engine(on_note=notes.append) as asked:
            ear = Ear()
            assert (await asked.complete(request(server, ear))).answer.text == TEXT
            assert ear.heard == []
            assert await asked.complete(request(server, ear, seed=2))
        kinds = [{"stream", "stream_options"} & set(call.body) for call in server.calls]
    assert kinds == [{"stream", "stream_options"}, {"stream"}, set(), set()]
    assert notes[1] == "lm m: openai/m does not stream its answers; they come whole"


async def test_who_asks_the_same_later_hears_it_from_the_start() -> None:
    async with FakeServer(lambda call: TEXT, trickle=0.005) as server, engine() as asked:
        first, late = Ear(), Ear()
        one = asyncio.create_task(asked.complete(request(server, first)))
        while len(first.heard) < 3:
            await asyncio.sleep(0.001)
        two = asyncio.create_task(asked.complete(request(server, late)))
        three = asyncio.create_task(asked.complete(request(server)))
        answers = await asyncio.gather(one, two, three)
    assert {answer.answer.text for answer in answers} == {TEXT}
    assert first.last == late.last == TEXT
    assert len(server.calls) == 1
    assert [answer.source for answer in answers] == ["model", "shared", "shared"]


async def test_a_connection_is_kept_after_a_stream() -> None:
    async with FakeServer(lambda call: TEXT) as server, engine() as asked:
        for seed in range(4):
            await asked.complete(request(server, Ear(), seed=seed))
    assert len({call.port for call in server.calls}) == 1


async def test_the_second_of_two_that_are_asked_is_not_heard() -> None:
    slow = iter([None, None, "hang"])
    async with (
        FakeServer(lambda call: TEXT, faults=lambda call: next(slow, None)) as server,
        engine() as asked,
    ):
        ear = Ear()
        for seed in range(2):
            await asked.complete(request(server, seed=seed, hedge=True))
        lane = await asked._lanes.lane_of(request(server, hedge=True).lm)  # pyright: ignore[reportPrivateUsage]
        lane.stragglers.after = lambda: 0.05  # pyright: ignore[reportAttributeAccessIssue]
        answer = (await asked.complete(request(server, ear, seed=9, hedge=True))).answer
        assert answer.text == TEXT
        assert TEXT.startswith(ear.last)
        assert "stream" not in server.calls[-1].body


async def test_a_stream_without_its_end_is_billed_and_fails_for_good_after_its_tries() -> None:
    ear = Ear()
    async with FakeServer(lambda call: TEXT, faults={"cut": 1.0}) as server, engine() as asked:
        with pytest.raises(ProviderError, match=r"before the answer was whole") as caught:
            await asked.complete(request(server, ear, retry=1, retry_said=True))
        assert caught.value.retryable
        assert asked.tally.spoiled == 2
    assert ear.heard[-1] is None
