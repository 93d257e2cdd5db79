"""What requests say besides their messages: sent by both transports, part of the ledger's key, left out where it is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest
from requesting import ask, fake_lm
from server import Call, FakeServer

from dspec.runtime.errors import ConfigurationError, NotSet, ProviderError
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.models.transports import open_transport
from dspec.runtime.schema.lms import LM, OwnSettings, asked_as

PLAIN = LM(name="m", model="openai/x", api_base="http://h/v1", temperature=0.0, max_tokens=9, seed=1)

CHANGES: list[dict[str, Any]] = [
    {"temperature": 0.1},
    {"max_tokens": 10},
    {"seed": 2},
    {"top_p": 0.0},
    {"top_p": 0.9},
    {"top_k": 1},
    {"stop": ("a",)},
    {"stop": ("a", "b")},
    {"frequency_penalty": 0.0},
    {"frequency_penalty": 0.5},
    {"presence_penalty": 0.0},
    {"presence_penalty": -0.5},
    {"reasoning_effort": "none"},
    {"reasoning_effort": "low"},
    {"verbosity": "low"},
    {"verbosity": "high"},
    {"model": "azure/x"},
    {"model": "azure/x", "api_version": "1"},
    {"headers": {"X-Title": "a"}},
    {"headers": {"X-Title": "b"}},
    {"headers_env": {"X-Title": "GATE_A"}},
    {"headers_env": {"X-Title": "GATE_B"}},
    {"extra": {"user": None}},
    {"extra": {"user": "a"}},
    {"extra": {"user": {"a": [1, 2.5, True]}}},
    {"extra": {"logprobs": False}},
    {"model": "openai/y"},
    {"api_base": "http://other/v1"},
]


def test_every_parameter_that_can_change_an_answer_changes_the_key() -> None:
    keys = [ask(PLAIN.model_copy(update=change)).identity() for change in CHANGES]
    keys += [ask(PLAIN).identity(), Request(PLAIN, (Message("user", "x"),), reasoning=True).identity()]
    assert len(set(keys)) == len(CHANGES) + 2


def test_the_key_of_a_request_without_them_is_what_it_was() -> None:
    request = Request(PLAIN, (Message("user", "hello"),))
    assert request.identity() == (
        '{"endpoint":"http://h/v1","messages":[["user","hello"]],"model":"openai/x",'
        '"parameters":{"max_tokens":9,"seed":1,"temperature":0.0},"sample":0}'
    )
    assert "extra" not in PLAIN.model_dump()
    assert "top_p" not in PLAIN.model_dump()


def test_what_only_says_how_an_endpoint_is_reached_is_no_part_of_the_key() -> None:
    """A hash is computed from the model's name and a few numbers; equality looks at everything."""
    slow = PLAIN.model_copy(
        update={
            "api_version": "2024-10-21",
            "timeout": 3.0,
            "retry": 0,
            "rpm": 5,
            "on_unreadable": "fallback",
        }
    )
    assert ask(slow).identity() == ask(PLAIN).identity()
    assert slow != PLAIN
    assert len({slow, PLAIN}) == 2


WANTED = {"top_p": 0.5, "stop": ["END"], "frequency_penalty": 0.25, "presence_penalty": 0.5, "seed": 3}


@pytest.mark.parametrize("kind", ["lean", "litellm"])
async def test_both_transports_send_them(
    kind: Literal["lean", "litellm"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_TOKEN", "s3cret-value")
    async with FakeServer() as server:
        lm = fake_lm(
            server.url,
            top_p=0.5,
            stop=("END",),
            frequency_penalty=0.25,
            presence_penalty=0.5,
            seed=3,
            top_k=7,
            headers={"X-Title": "tickets"},
            headers_env={"X-Gate": "GATE_TOKEN"},
            extra={"provider": {"order": ["a"], "allow": True}, "logprobs": True},
        )
        endpoint = resolve(lm)
        transport = open_transport(endpoint, kind)
        try:
            await transport.complete(ask(lm))
        finally:
            await transport.aclose()
    call = server.calls[0]
    assert {name: call.body[name] for name in WANTED} == WANTED
    assert call.body["top_k"] == 7
    assert call.body["provider"] == {"order": ["a"], "allow": True}
    assert call.body["logprobs"] is True
    assert (call.headers["X-Title"], call.headers["X-Gate"]) == ("tickets", "s3cret-value")
    assert "s3cret-value" not in ask(lm).identity() + repr(endpoint)
    assert endpoint.scrub("bad s3cret-value!") == "bad ***!"


async def test_a_header_without_its_variable_is_said_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = fake_lm("http://127.0.0.1:9/v1", headers_env={"X-Gate": "GATE_TOKEN"})
    with pytest.raises(NotSet, match="takes the header `X-Gate` from GATE_TOKEN, which is not set"):
        resolve(lm)
    monkeypatch.setenv("GATE_TOKEN", "a\nHost: evil.example")
    with pytest.raises(ConfigurationError, match="cannot be the header") as raised:
        resolve(lm)
    assert "evil" not in raised.value.message


@pytest.mark.parametrize("name", ["top_p", "stop", "reasoning_effort", "logprobs"])
async def test_one_that_is_refused_is_left_out_and_said_once(name: str) -> None:
    notes: list[str] = []

    def faults(call: Call) -> str | None:
        return f"unsupported:{name}" if name in call.body else None

    async with FakeServer(faults=faults) as server, Engine(on_note=notes.append) as engine:
        lm = fake_lm(
            server.url, top_p=0.5, stop=("a",), reasoning_effort="low", extra={"logprobs": True, "user": "u"}
        )
        for number in range(3):
            await engine.complete(ask(lm, f"{number}"))
    assert len(server.calls) == 4
    assert name not in server.calls[-1].body
    assert server.calls[-1].body["user"] == "u"
    assert len([note for note in notes if f"does not take `{name}`" in note]) == 1


async def test_modules_that_ask_one_model_in_different_ways_keep_to_its_limits_together() -> None:
    async with FakeServer(latency=0.02) as server, Engine() as engine:
        lm = fake_lm(server.url, max_parallel=1)
        warm = asked_as(lm, OwnSettings(temperature=0.9))
        await asyncio.gather(*(engine.complete(ask(one, f"{n}")) for n in range(3) for one in (lm, warm)))
    assert server.most_in_flight == 1
    assert sorted(call.body.get("temperature", -1) for call in server.calls) == [-1, -1, -1, 0.9, 0.9, 0.9]


async def test_what_a_model_thought_is_kept_where_it_is_wanted(tmp_path: Path) -> None:
    def answer(call: Call) -> dict[str, Any]:
        return {"content": "four", "reasoning_content": "two and two"}

    async with FakeServer(answer) as server:
        lm = fake_lm(server.url)
        wanted = Request(lm, (Message("user", "2+2"),), reasoning=True)
        for expected in ("model", "ledger"):
            with Ledger(tmp_path / "ledger.sqlite") as ledger:
                async with Engine(ledger=ledger) as engine:
                    kept = await engine.complete(wanted)
                    plain = await engine.complete(Request(lm, (Message("user", "2+2"),)))
            assert kept.source == plain.source == expected
            assert (kept.answer.reasoning, plain.answer.reasoning) == ("two and two", "")
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    "message",
    [
        {"content": "four", "reasoning_content": "2+2"},
        {"content": "four", "reasoning": "2+2"},
        {"content": "four", "thinking_blocks": [{"type": "thinking", "thinking": "2+2", "signature": "x"}]},
        {"content": "four", "reasoning_details": [{"type": "reasoning.text", "text": "2+2"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}]},
                {"type": "text", "text": "four"},
            ]
        },
        {"content": "<think>2+2</think>four"},
    ],
)
async def test_thoughts_are_read_wherever_servers_put_them(message: dict[str, Any]) -> None:
    async with FakeServer(lambda call: message) as server, Engine() as engine:
        request = Request(fake_lm(server.url), (Message("user", "?"),), reasoning=True)
        answer = (await engine.complete(request)).answer
    assert (answer.text, answer.reasoning) == ("four", "2+2")


async def test_a_failure_names_no_value_of_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_TOKEN", "s3cret-value")
    async with FakeServer(faults=["400"]) as server, Engine() as engine:
        lm = fake_lm(server.url, headers_env={"X-Gate": "GATE_TOKEN"})
        with pytest.raises(ProviderError) as raised:
            await engine.complete(ask(lm))
    assert "s3cret" not in raised.value.message
