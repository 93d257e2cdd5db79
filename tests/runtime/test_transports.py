"""The lean transport and LiteLLM's give the same answers and the same kinds of error."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requesting import ask, fake_lm
from server import FakeServer

from dspec.runtime.errors import ProviderError, Refused, Untrusted
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.models.pacing import Quota, Quotas
from dspec.runtime.models.protocol import Answer, Message, Request
from dspec.runtime.models.transports import open_transport
from dspec.runtime.models.transports.answers import (
    MAX_ANSWER_BYTES,
    error_text,
    estimate_tokens,
    read_answer,
    read_quotas,
    read_retry_after,
    usage_of,
)
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Usage

PEM = Path(__file__).parent.parent / "support" / "localhost.pem"

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


USAGES: list[tuple[dict[str, object], Usage | None]] = [
    ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, Usage(7, 3)),
    ({"prompt_tokens": 7, "completion_tokens": 3}, Usage(7, 3)),
    ({"input_tokens": 7.0, "output_tokens": 3.0}, Usage(7, 3)),
    ({"input_tokens": 7, "output_tokens": 3}, Usage(7, 3)),
    # thought is output: within it, beside it, or only in the total
    (
        {"prompt_tokens": 7, "completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 80}},
        Usage(7, 90),
    ),
    (
        {"prompt_tokens": 7, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 80}},
        Usage(7, 83),
    ),
    ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 90}, Usage(7, 83)),
    (
        {"input_tokens": 7, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 80}},
        Usage(7, 83),
    ),
    # what was cached is input: within it, or beside it
    (
        {"prompt_tokens": 70, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 60}},
        Usage(70, 3),
    ),
    (
        {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 60}},
        Usage(67, 3),
    ),
    (
        {
            "input_tokens": 70,
            "output_tokens": 3,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 5,
        },
        Usage(135, 3),
    ),
    ({"prompt_tokens": 70, "completion_tokens": 3, "cache_read_input_tokens": 60}, Usage(70, 3)),
    # a part and the total
    ({"prompt_tokens": 7, "total_tokens": 10}, Usage(7, 3)),
    ({"completion_tokens": 3, "total_tokens": 10}, Usage(7, 3)),
    ({"total_tokens": 10}, Usage(1, 9)),
    # a part alone: the other is estimated
    ({"prompt_tokens": 7}, Usage(7, 1, estimated=True)),
    ({"completion_tokens": 300}, Usage(13, 300, estimated=True)),
    # a total that is less than its parts says nothing
    ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 4}, Usage(7, 3)),
    # what is no number of tokens is no report
    ({"prompt_tokens": True, "completion_tokens": True}, None),
    ({"prompt_tokens": -1, "completion_tokens": 3.0e300}, None),
    ({"prompt_tokens": 10**400, "completion_tokens": 10**400}, None),
    ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
    ({}, None),
]


@pytest.mark.parametrize(("reported", "counted"), USAGES)
def test_tokens_are_counted_as_they_are_billed(reported: dict[str, object], counted: Usage | None) -> None:
    body = json.dumps({"choices": [{"message": {"content": "yes"}}], "usage": reported})
    found = read_answer(body, REQUEST).usage
    assert found == (counted or Usage(13, 1, estimated=True))


TOKENS = st.none() | st.integers(0, 10_000)


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS)
def test_no_tokens_that_are_reported_are_left_out(
    inputs: int | None, outputs: int | None, total: int | None, cached: int | None, thought: int | None
) -> None:
    reported = {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    found = usage_of(reported, REQUEST)
    least = max(
        (inputs or 0) + (outputs or 0),
        total or 0,
        *((cached or 0, thought or 0) if inputs and outputs else (0,)),
    )
    assert (0 if found is None else found.input_tokens + found.output_tokens) >= least


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.just("reasoning_tokens"), inner),
        ),
    )
)
def test_no_report_of_usage_breaks_the_reading(reported: dict[str, object]) -> None:
    found = usage_of(cast("JsonValue", reported), REQUEST)
    assert found is None or (found.input_tokens >= 0 and found.output_tokens >= 0)


def test_what_a_model_thought_counts_where_nobody_counted() -> None:
    apart = {"choices": [{"message": {"content": "yes", "reasoning_content": "x" * 400}}]}
    within = {"choices": [{"message": {"content": "<think>" + "x" * 400 + "</think>yes"}}]}
    assert read_answer(json.dumps(apart), REQUEST).usage.output_tokens == 101
    assert read_answer(json.dumps(within), REQUEST).usage.output_tokens >= 101


@pytest.mark.parametrize(
    "usage", [usage for usage, counted in USAGES if counted and "completion_tokens" in usage]
)
async def test_both_transports_count_the_same(usage: dict[str, object]) -> None:
    async with FakeServer(lambda _: "yes", reports=lambda call, text: ((0, 0), usage)) as server:
        request = ask(fake_lm(server.url))
        lean, other = await outcome("lean", request), await outcome("litellm", request)
    assert isinstance(lean, Answer)
    assert isinstance(other, Answer)
    if "prompt_tokens" in usage:
        assert lean.usage == other.usage


async def test_a_model_of_no_provider_is_told_of_in_our_words() -> None:
    async with FakeServer() as server:
        found = await outcome("litellm", ask(fake_lm(server.url, model="nope")))
        assert not server.asked
    assert isinstance(found, Refused)
    assert "no provider has a model of this name" in found.message
    assert "litellm" not in f"{found.message}{found.help}".lower()


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_every_status_of_success_brings_an_answer(status: int) -> None:
    async with FakeServer(status=status) as server:
        lean = await outcome("lean", ask(fake_lm(server.url)))
        other = await outcome("litellm", ask(fake_lm(server.url)))
    assert isinstance(lean, Answer)
    assert lean == other


@pytest.mark.parametrize("kind", ["lean", "litellm"])
async def test_a_certificate_that_is_not_accepted_is_no_fault_that_passes(
    kind: Literal["lean", "litellm"], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
        found = await outcome(kind, ask(fake_lm(url)))
    assert isinstance(found, Untrusted)
    assert "certificate is not accepted" in found.message
    assert not found.retryable
    assert not found.billable


@pytest.mark.parametrize(
    ("headers", "quotas"),
    [
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
            },
            Quotas(Quota(59, 1, 60)),
        ),
        (
            {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6m0s"},
            Quotas(None, Quota(149984, 360)),
        ),
        (
            {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "2m59.56s"},
            Quotas(Quota(3, 179.56)),
        ),
        (
            {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "20ms"},
            Quotas(Quota(3, 0.02)),
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "4",
                "anthropic-ratelimit-requests-reset": "2015-10-21T07:28:00Z",
            },
            Quotas(Quota(4, 0.0)),
        ),
        ({"x-ratelimit-remaining-requests": "3"}, None),
        ({"x-ratelimit-remaining-requests": "some", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": ""}, None),
        ({}, None),
    ],
)
def test_what_is_left_of_a_limit(headers: dict[str, str], quotas: Quotas | None) -> None:
    assert read_quotas(headers) == quotas


@given(st.text(alphabet="0123456789hms.-+: TZeE\u0661", max_size=30))
def test_no_header_breaks_the_reading(text: str) -> None:
    names = ("remaining", "reset", "limit")
    found = read_quotas({f"x-ratelimit-{name}-requests": text for name in names})
    assert found is None or (found.requests is not None and 0 <= found.requests.seconds < float("inf"))


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
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}, 1.5),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1.5s"}, None),
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


@pytest.mark.slow
def test_loading_litellm_changes_no_environment_and_reads_no_dotenv(tmp_path: object) -> None:
    code = (
        "import os; open('.env', 'w').write('PLANTED=1'); before = dict(os.environ);"
        "from dspec.runtime.models.transports.litellm import load_litellm; load_litellm();"
        "assert dict(os.environ) == before, set(os.environ) ^ set(before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=str(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
