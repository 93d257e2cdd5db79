"""Addresses and keys from settings and environment, and who gets a key."""

from __future__ import annotations

import pytest

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.endpoints import address, resolve
from dspec.runtime.models.transports import choose
from dspec.runtime.schema.program import LM


def lm(model: str, **settings: str) -> LM:
    return LM.model_validate({"name": "m", "model": model, **settings})


KEYS = {"OPENAI_API_KEY": "sk-own", "GROQ_API_KEY": "gsk_own", "MINE": "mine"}


@pytest.mark.parametrize(
    ("model", "settings", "environ", "url", "key", "kind"),
    [
        ("openai/gpt-4o", {}, {}, "https://api.openai.com/v1", "sk-own", "lean"),
        ("gpt-4o", {}, {}, "https://api.openai.com/v1", "sk-own", "lean"),
        ("openai/gpt-5-codex", {}, {}, "https://api.openai.com/v1", "sk-own", "litellm"),
        ("openai/x", {}, {"OPENAI_BASE_URL": "http://a/v1/"}, "http://a/v1", "sk-own", "lean"),
        ("openai/x", {}, {"OPENAI_API_BASE": "http://b/v1"}, "http://b/v1", "sk-own", "lean"),
        (
            "openai/x",
            {"api_base": "http://c/v1"},
            {"OPENAI_BASE_URL": "http://a"},
            "http://c/v1",
            None,
            "lean",
        ),
        ("openai/x", {"api_base": "http://c/v1", "api_key_env": "MINE"}, {}, "http://c/v1", "mine", "lean"),
        ("openai/x", {"api_base_env": "B"}, {"B": "http://d/v1"}, "http://d/v1", "sk-own", "lean"),
        ("groq/llama", {}, {}, "https://api.groq.com/openai/v1", "gsk_own", "lean"),
        ("ollama_chat/llama", {}, {}, "http://localhost:11434", None, "lean"),
        ("hosted_vllm/q", {"api_base": "http://e:8000/v1"}, {}, "http://e:8000/v1", None, "lean"),
        ("anthropic/claude", {"api_key_env": "MINE"}, {}, None, "mine", "litellm"),
        ("bedrock/claude", {}, {}, None, None, "litellm"),
        ("newcomer/x", {}, {"NEWCOMER_API_BASE": "http://f"}, "http://f", None, "litellm"),
        ("embedded/icl", {}, {}, None, None, "embedded"),
    ],
)
def test_resolved(
    model: str, settings: dict[str, str], environ: dict[str, str], url: str | None, key: str | None, kind: str
) -> None:
    endpoint = resolve(lm(model, **settings), {**KEYS, **environ})
    assert (endpoint.url, endpoint.key, endpoint.kind) == (url, key, kind)
    assert endpoint.address == address(lm(model, **settings), {**KEYS, **environ})
    assert key is None or key not in repr(endpoint)


@pytest.mark.parametrize(
    ("model", "settings", "said", "advice"),
    [
        ("openai/gpt-4o", {}, "OPENAI_API_KEY is not set", 'api_key = env("…")'),
        ("anthropic/claude", {}, "ANTHROPIC_API_KEY is not set", "set it"),
        ("openai/x", {"api_base": "http://c", "api_key_env": "MINE"}, "MINE, which is not set", "set MINE"),
        ("openai/x", {"api_base_env": "BASE"}, "BASE, which is not set", "set BASE"),
        ("hosted_vllm/x", {}, "no address", "HOSTED_VLLM_API_BASE"),
        ("openai/x", {"api_base": "localhost:8000"}, "not an http or https URL", "http://localhost:8000/v1"),
        ("openai/x", {"api_base": "http://h:port/v1"}, "not an http or https URL", ""),
        ("openai/x", {"api_base": "file:///etc/passwd"}, "not an http or https URL", ""),
        ("openai/x", {"api_base": "http://u:pw@h/v1"}, "holds a user or password", "env"),
    ],
)
def test_unresolved(model: str, settings: dict[str, str], said: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        resolve(lm(model, **settings), {})
    assert advice in caught.value.help
    assert "pw" not in str(caught.value).replace("password", "")


def test_the_address_needs_no_key_and_shows_no_password() -> None:
    assert address(lm("openai/gpt-4o"), {}) == "https://api.openai.com/v1"
    assert address(lm("openai/x", api_base_env="B"), {"B": "https://user:secret@h/v1"}) == "https://h/v1"
    endpoint = resolve(lm("openai/x", api_base_env="B"), {"B": "https://u:secret@h/v1?token=t", **KEYS})
    assert "secret" not in repr(endpoint)
    assert endpoint.shown == "https://h/v1"


@pytest.mark.parametrize(
    "text", ["key sk-own given", "Incorrect API key provided: sk-proj-abcdefgh12345", "gsk_own"]
)
def test_scrubbed_texts_show_no_key(text: str) -> None:
    endpoint = resolve(lm("openai/gpt-4o"), KEYS)
    scrubbed = endpoint.scrub(text.replace("gsk_own", "sk-own") * 50)
    assert "sk-own" not in scrubbed
    assert "abcdefgh" not in scrubbed
    assert len(scrubbed) <= 300


def test_modes() -> None:
    own, other = resolve(lm("openai/gpt-4o"), KEYS), resolve(lm("bedrock/claude"), KEYS)
    toy = resolve(lm("embedded/icl"), KEYS)
    assert [choose(own, mode) for mode in ("auto", "lean", "litellm")] == ["lean", "lean", "litellm"]
    assert [choose(other, mode) for mode in ("auto", "litellm")] == ["litellm", "litellm"]
    assert choose(toy, "litellm") == "embedded"
    with pytest.raises(ConfigurationError, match="lean transport does not speak to bedrock"):
        choose(other, "lean")
