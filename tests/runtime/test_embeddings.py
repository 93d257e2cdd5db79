"""Embeddings go the way of every call: both transports, one ledger, the same retries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from requesting import FAST, ask, fake_lm
from server import FakeServer

from dspec.runtime.errors import ProviderError
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.models.transports import open_transport
from dspec.runtime.models.transports.answers import read_embedding
from dspec.runtime.schema.program import LM

REQUEST = Request(
    LM(name="m", model="openai/e", api_base="http://h"), (Message("user", "x"),), kind="embedding"
)


@pytest.mark.slow
async def test_both_transports_give_the_same_vector() -> None:
    async with FakeServer() as server:
        request = Request(
            fake_lm(server.url, model="openai/embed-1"), (Message("user", "a text"),), kind="embedding"
        )
        answers = []
        for kind in ("lean", "litellm"):
            transport = open_transport(resolve(request.lm), kind)
            answers.append(await transport.complete(request))
            await transport.aclose()
    lean, other = answers
    assert lean == other
    assert (len(json.loads(lean.text)), lean.usage.input_tokens) == (4, 2)
    assert [call.body["input"] for call in server.calls] == [["a text"]] * 2
    assert {call.body["model"] for call in server.calls} == {"embed-1"}


async def test_vectors_are_kept_shared_and_retried(tmp_path: Path) -> None:
    async with FakeServer(faults=["500", "empty"]) as server:
        lm = fake_lm(server.url)
        with Ledger(tmp_path / "l.sqlite") as ledger:
            async with Engine(ledger=ledger, backoff=FAST, threads=1) as engine:
                first = await engine.embed(lm, ["one", "two", "one"])
            async with Engine(ledger=ledger) as engine:
                again = await engine.embed(lm, ["two", "one"])
    assert first[0] == first[2] != first[1]
    assert again == [first[1], first[0]]
    assert len(server.calls) == 4


def test_an_embedding_and_a_chat_of_the_same_text_are_two_things() -> None:
    lm = fake_lm("http://h")
    message = (Message("user", "x"),)
    assert Request(lm, message).identity() != Request(lm, message, kind="embedding").identity()
    assert "kind" not in json.loads(ask(lm).identity())


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "{}", '{"data": []}', '{"data": [{}]}', '{"data": [{"embedding": []}]}', "[" * 100_000),
        *('{"data": [{"embedding": [1, "2"]}]}', '{"data": [{"embedding": [NaN]}]}', '{"data": {"0": 1}}'),
        *('{"data": [{"embedding": "AAAA"}]}', '{"data": [{"embedding": [1e999]}]}'),
    ],
)
def test_odd_bodies_hold_no_vector(body: str) -> None:
    with pytest.raises(ProviderError) as caught:
        read_embedding(body, REQUEST)
    assert caught.value.retryable
