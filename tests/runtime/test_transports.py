"""The lean transport and LiteLLM's give the same answers and the same kinds of error."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Literal

import pytest
from requesting import ask, fake_lm
from server import FakeServer

from dspec.runtime.errors import ProviderError
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.models.protocol import Answer, Message, Request
from dspec.runtime.models.transports import open_transport
from dspec.runtime.models.transports.answers import (
    MAX_ANSWER_BYTES,
    error_text,
    estimate_tokens,
    read_answer,
    read_retry_after,
)
from dspec.runtime.schema.program import LM

REQUEST = ask(LM(name="m", model="openai/x", api_base="http://h"))

FAULTS = [
    *(None, "length", "no_usage", "zero_usage", "429", "429:2", "quota", "500", "503", "408", "reset", "cut"),
    *("malformed", "html", "empty", "null", "choices", "filter", "huge", "deep", "400", "401", "403", "404"),
    *("402", "422", "leak:400"),
]


async def outcome(kind: Literal["lean", "litellm"], request: Request) -> Answer | ProviderError:
    transport = open_transport(resolve(request.lm), kind)
    try:
        async with asyncio.timeout(20):
            return await transport.complete(request)
    except ProviderError as error:
        return error
    finally:
        await transport.aclose()


@pytest.mark.parametrize("fault", FAULTS)
async def test_both_transports_agree_and_ask_once(fault: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "planted-canary")
    async with FakeServer(faults=[fault, fault]) as server:
        request = ask(fake_lm(server.url, api_key_env="SOME_KEY"))
        lean, other = await outcome("lean", request), await outcome("litellm", request)
    assert len(server.calls) == 2
    if isinstance(lean, Answer):
        assert lean == other
    else:
        assert isinstance(other, ProviderError)
        assert (type(lean), lean.help) == (type(other), other.help)
        assert getattr(lean, "retry_after", None) == getattr(other, "retry_after", None)
        assert "planted-canary" not in f"{lean} {other}"


async def test_both_transports_send_the_same() -> None:
    async with FakeServer() as server:
        lm = fake_lm(server.url, temperature=0.3, max_tokens=7, seed=5)
        request = ask(lm, "ünïcödé\ud800 \U0001f600", response_format={"type": "json_object"}, sample=4)
        await outcome("lean", request)
        request = ask(lm, "ünïcödé \U0001f600", response_format={"type": "json_object"}, sample=4)
        await outcome("lean", request)
        await outcome("litellm", request)
    _, lean, other = (call.body for call in server.calls)
    assert lean == {key: value for key, value in other.items() if key in lean}
    assert set(other) - set(lean) <= {"stream"}
    assert lean == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "ünïcödé \U0001f600"},
        ],
        "temperature": 0.3,
        "max_tokens": 7,
        "seed": 5,
        "response_format": {"type": "json_object"},
    }


async def test_thinking_aloud_is_left_out_by_both() -> None:
    async with FakeServer(lambda _: "<think>\nhm, no\n</think>\n\nyes") as server:
        request = ask(fake_lm(server.url))
        lean, other = await outcome("lean", request), await outcome("litellm", request)
    assert isinstance(lean, Answer)
    assert lean == other
    assert lean.text.strip() == "yes"


@pytest.mark.parametrize(("key", "sent"), [("sk-own", "Bearer sk-own"), (None, None)])
async def test_the_key_is_sent_only_if_meant(
    key: str | None, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    async with FakeServer() as server:
        lm = fake_lm(server.url, api_key_env="OPENAI_API_KEY" if key else None)
        await outcome("lean", ask(lm))
        await outcome("litellm", ask(lm))
    assert server.calls[0].headers.get("Authorization") == sent
    assert server.calls[1].headers.get("Authorization") == (sent or "Bearer none")


async def test_a_prompt_of_megabytes_is_sent() -> None:
    async with FakeServer(lambda call: str(len(call.prompt))) as server:
        answer = await outcome("lean", ask(fake_lm(server.url), "x" * 3_000_000))
    assert isinstance(answer, Answer)
    assert answer.text == "3000000"


async def test_newer_openai_models_get_their_own_name_for_max_tokens() -> None:
    async with FakeServer() as server:
        for model in ("openai/gpt-5-mini", "openai/o3", "openai/gpt-4o"):
            await outcome("lean", ask(fake_lm(server.url, model=model, max_tokens=9)))
    assert [call.body.get("max_completion_tokens") for call in server.calls] == [9, 9, None]
    assert [call.body.get("max_tokens") for call in server.calls] == [None, None, 9]


async def test_connections_are_reused() -> None:
    ports: set[int] = set()
    async with FakeServer() as server:
        transport = open_transport(resolve(fake_lm(server.url)), "lean")
        for i in range(5):
            await transport.complete(ask(fake_lm(server.url), f"row {i}"))
            ports.add(server.calls[-1].port)
        await transport.aclose()
    assert len(ports) == 1


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "7", "[]", '"text"', "{}", '{"choices": 3}', '{"choices": [3]}', "[" * 100_000),
        *('{"choices": [{"message": null}]}', '{"choices": [{"message": {"content": 5}}]}'),
        *('{"choices": [{"message": {"content": [{"text": 5}]}}]}', '{"error": {"message": "x"}}'),
        *('{"choices": [' + "9" * 5000 + "]}", '{"choices": [{"message": {"content": "   "}}]}'),
    ],
)
def test_odd_bodies_are_no_answers(body: str) -> None:
    with pytest.raises(ProviderError) as caught:
        read_answer(body, REQUEST)
    assert caught.value.retryable


def test_bodies_that_are_answers_though_unusual() -> None:
    def read(message: object, **choice: object) -> Answer:
        return read_answer(json.dumps({"choices": [{"message": message, **choice}]}), REQUEST)

    assert read({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}).text == "ab"
    assert read({"content": None, "refusal": "I will not"}).text == "I will not"
    assert read({"content": ""}, finish_reason="length").text == ""
    assert read({"content": "x"}, finish_reason=9).finish_reason == "stop"
    for usage in (None, 5, {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "3"}):
        body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
        assert read_answer(json.dumps(body), REQUEST).usage.estimated


def test_the_size_cap() -> None:
    with pytest.raises(ProviderError, match="larger than 4 MB"):
        read_answer(b" " * (MAX_ANSWER_BYTES + 1), REQUEST)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error": {"message": "m", "code": "c"}}', "m · c"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": "not found"}', "not found"),
        (b"<html>", "an HTML page"),
        (b"teapot \xff", "teapot \ufffd"),
        (b"[" * 100_000, "[" * 4096),
    ],
)
def test_error_texts(body: bytes, text: str) -> None:
    assert error_text(body) == text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds


def test_tokens_are_estimated_by_bytes() -> None:
    assert estimate_tokens([Message("user", "x" * 40), Message("user", "")]) == 10 + 4 + 4


def test_litellm_and_aiohttp_wait_until_they_are_needed() -> None:
    code = (
        "import sys, dspec.runtime.models.engine; loaded = {'litellm', 'aiohttp', 'lark'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loading_litellm_changes_no_environment_and_reads_no_dotenv(tmp_path: object) -> None:
    code = (
        "import os; open('.env', 'w').write('PLANTED=1'); before = dict(os.environ);"
        "from dspec.runtime.models.transports.litellm import _load; _load();"
        "assert dict(os.environ) == before, set(os.environ) ^ set(before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=str(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
