"""Where a model is served: the one place that reads addresses and keys from the environment.

An `Endpoint` holds the key, so it never shows one: not in `repr`, not in `address`, and `scrub` takes
it out of any text a provider sent back. A key found under a provider's usual name goes only to an
address that is the provider's own or that the environment names; for an address written in a file
the file must also say which key it means, so that a borrowed file cannot send a key elsewhere unseen.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from msgspec import Struct

from ..errors import ConfigurationError, NotSet
from ..schema.lms import LM
from ..schema.modelnames import is_model_name, may_hold_key
from ..schema.requests import is_header_value
from .checkpoints import LOCAL, address_of

Kind = Literal["embedded", "local", "lean", "litellm"]

EMBEDDED = "embedded@1"
"""Address of the embedded model. The number goes up whenever it would answer a prompt differently, so
that stored answers of an older one are not replayed."""

EMBEDDED_MODELS = ("icl",)

_KEY_SHAPED = r"\b(?:sk|pk|rk|gsk|xai|key)-[\w*.-]{8,}"
_OPENAI_NAMES = r"(?:gpt-|chatgpt-|o\d)"
_NOT_CHAT_COMPLETIONS = r"codex|deep-research|-pro\b"


_TOKEN = re.compile(
    r"(?<=/)(?=[^/]*\d)(?=[^/]*[A-Za-z])(?:\w{20,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=/|$)",
    re.IGNORECASE,
)
"""Part of a path that is more likely a token than a name."""


class Provider(Struct, frozen=True):
    """`lean` says that its chat completions take and give exactly OpenAI's fields."""

    base: str | None = None
    base_env: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    lean: bool = False
    needs_key: bool = True
    free: bool = False
    """Runs on the user's own machine, so that calls cost nothing."""
    batches: bool = False
    """Takes files of requests as OpenAI does, and answers them within a day."""


_LOCAL = {"lean": True, "needs_key": False, "free": True}

PROVIDERS: dict[str, Provider] = {
    "openai": Provider(
        "https://api.openai.com/v1",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("OPENAI_API_KEY",),
        lean=True,
        batches=True,
    ),
    "hosted_vllm": Provider(
        None, ("HOSTED_VLLM_API_BASE",), ("HOSTED_VLLM_API_KEY",), lean=True, needs_key=False
    ),
    "litellm_proxy": Provider(
        None,
        ("LITELLM_PROXY_API_BASE",),
        ("LITELLM_PROXY_API_KEY",),
        lean=True,
        needs_key=False,
        batches=True,
    ),
    "ollama_chat": Provider("http://localhost:11434", ("OLLAMA_API_BASE",), ("OLLAMA_API_KEY",), **_LOCAL),
    "lm_studio": Provider(
        "http://localhost:1234/v1", ("LM_STUDIO_API_BASE",), ("LM_STUDIO_API_KEY",), **_LOCAL
    ),
    "llamafile": Provider(
        "http://127.0.0.1:8080/v1", ("LLAMAFILE_API_BASE",), ("LLAMAFILE_API_KEY",), **_LOCAL
    ),
    "openrouter": Provider(
        "https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",), ("OPENROUTER_API_KEY",), lean=True
    ),
    "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_API_BASE",), ("GROQ_API_KEY",), lean=True),
    "together_ai": Provider(
        "https://api.together.ai/v1",
        ("TOGETHER_AI_API_BASE",),
        ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY"),
        lean=True,
    ),
    "anthropic": Provider(None, ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"), ("ANTHROPIC_API_KEY",)),
    "gemini": Provider(None, ("GEMINI_API_BASE",), ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "mistral": Provider(None, ("MISTRAL_API_BASE",), ("MISTRAL_API_KEY",)),
    "deepseek": Provider(None, ("DEEPSEEK_API_BASE",), ("DEEPSEEK_API_KEY",)),
    "xai": Provider(None, ("XAI_API_BASE",), ("XAI_API_KEY",)),
    "cohere": Provider(None, ("COHERE_API_BASE",), ("COHERE_API_KEY", "CO_API_KEY")),
    "local": Provider(None, needs_key=False, free=True),
    "azure": Provider(None, ("AZURE_API_BASE",), ("AZURE_API_KEY",), needs_key=False, batches=True),
}
"""By the prefix of a model string. A prefix that is not here goes to LiteLLM with what it finds itself."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A resolved address and key. Equal endpoints share a transport, a backoff and connections."""

    provider: str
    address: str = field(repr=False)
    """What identifies the endpoint: its URL without credentials, or the provider's name."""
    url: str | None = field(repr=False)
    """Base URL, without a trailing slash. None where LiteLLM knows it."""
    key: str | None = field(repr=False)
    kind: Kind
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Those that the file adds, with the values that are in the environment."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Values of headers that came from the environment, which nobody is to see."""
    key_hint: str = field(default="", compare=False)
    """How a user gives this endpoint another key, for error messages."""

    @property
    def shown(self) -> str:
        """The address for messages: without query and parts of the path that may be a token."""
        return _TOKEN.sub("***", self.address.partition("?")[0])

    def scrub(self, text: str) -> str:
        """`text` without this endpoint's key or anything that looks like one, at most 300 characters."""
        for secret in (self.key, *self.hidden, *_secrets_in(self.url or "")):
            if secret:
                text = text.replace(secret, "***")
        text = " ".join(re.sub(_KEY_SHAPED, "***", text).split())
        return text if len(text) <= 300 else text[:299] + "…"


@functools.lru_cache(maxsize=64)
def _secrets_in(url: str) -> tuple[str, ...]:
    """What of an address is for its server alone, the longest first: user, password, query, tokens in the path."""
    parts = urlsplit(url)
    found = {parts.username, parts.password, parts.query, *_TOKEN.findall(parts.path)}
    for value in (value for name in parts.query.split("&") for value in name.split("=")[1:]):
        found |= {value, unquote(value)}
    return tuple(sorted((one for one in found if one and len(one) > 3), key=len, reverse=True))


def split_model(model: str) -> tuple[str, str]:
    """Provider and the provider's own name: `openai/gpt-4o` → `("openai", "gpt-4o")`."""
    provider, slash, name = model.partition("/")
    if slash:
        return provider, name
    if re.match(_OPENAI_NAMES, model):
        return "openai", model
    return ("anthropic", model) if model.startswith("claude-") else ("", model)


def has_batches(model: str) -> bool:
    """Whether the model's provider has a batch API that is known here."""
    known = PROVIDERS.get(split_model(model)[0])
    return known is not None and known.batches


_VERSIONED = frozenset({"azure", "azure_ai", "azure_text"})


def versioned(model: str) -> bool:
    """Whether the provider's protocol has versions that a request names."""
    return split_model(model)[0] in _VERSIONED


def may_keep_key(variable: str, model: str) -> bool:
    """Whether a file may say that the key of this model is in the environment's `variable` (`may_hold_key`)."""
    provider, _ = split_model(model)
    known = PROVIDERS.get(provider)
    usual = known.key_env if known else ()
    others = {name for one in PROVIDERS.values() for name in one.key_env}
    return may_hold_key(variable, provider, usual, frozenset(others.difference(usual)))


def address(lm: LM, environ: Mapping[str, str] = os.environ) -> str:
    """Where `lm` is served, without credentials: part of every request's identity.

    Raises ConfigurationError when the variable that names the address is not set.
    """
    provider, _ = split_model(lm.model)
    if provider == "embedded":
        return EMBEDDED
    if provider == LOCAL:
        return address_of(lm)
    url, _ = _base(lm, provider, environ)
    return _shown(url) if url else provider


def resolve(lm: LM, environ: Mapping[str, str] = os.environ, *, key: str | None = None) -> Endpoint:
    """The endpoint of `lm` with its key, which is in the environment unless it is given. Raises ConfigurationError before any
    network is touched."""
    provider, name = split_model(lm.model)
    if not is_model_name(lm.model):
        raise ConfigurationError(
            f"lm {lm.name}: {lm.model[:80]!r} is not the name of a model",
            help="where it is served is said with `api_base`",
        )
    if provider == "embedded":
        return Endpoint("embedded", EMBEDDED, None, None, "embedded")
    if provider == LOCAL:
        return Endpoint(LOCAL, address_of(lm), None, None, "local")
    known = PROVIDERS.get(provider, Provider(needs_key=False))
    url, named_by_file = _base(lm, provider, environ)
    if provider in ("hosted_vllm", "litellm_proxy") and not url:
        raise NotSet(
            f"lm {lm.name}: {lm.model} has no address",
            help=f"write `api_base` in lm {lm.name}, or set {known.base_env[0]}",
        )
    hidden = {name: _variable(lm, name, variable, environ) for name, variable in lm.headers_env.items()}
    own_responses = provider == "openai" and url == known.base and re.search(_NOT_CHAT_COMPLETIONS, name)
    return Endpoint(
        provider=provider,
        address=_shown(url) if url else provider,
        url=url,
        key=key
        or _key(lm, known, environ, required=known.needs_key and not named_by_file, usual=not named_by_file),
        kind="lean" if known.lean and not own_responses else "litellm",
        headers=(*lm.headers.items(), *hidden.items()),
        hidden=tuple(hidden.values()),
        key_hint="check the key that the application gives"
        if key
        else _key_hint(lm, known, named_by_file=named_by_file),
    )


def _base(lm: LM, provider: str, environ: Mapping[str, str]) -> tuple[str | None, bool]:
    """The base URL, and whether it was written in a file rather than taken from the environment."""
    if lm.api_base is not None:
        url = _checked(lm.api_base, f"lm {lm.name}: `api_base`")
        if "@" in urlsplit(url).netloc:
            raise ConfigurationError(
                f"lm {lm.name}: `api_base` holds a user or password",
                help='put the address into the environment and write `api_base = env("…")`',
            )
        return url, True
    if lm.api_base_env is not None:
        value = environ.get(lm.api_base_env, "").strip()
        if not value:
            raise NotSet(
                f"lm {lm.name} takes its address from {lm.api_base_env}, which is not set",
                help=f"set {lm.api_base_env} to the server's URL, such as http://localhost:8000/v1",
            )
        return _checked(value, lm.api_base_env), False
    known = PROVIDERS.get(provider)
    names = known.base_env if known else (f"{provider.upper()}_API_BASE",) if provider else ()
    for name in names:
        if value := environ.get(name, "").strip():
            return _checked(value, name), False
    return (known.base if known else None), False


def _key(lm: LM, known: Provider, environ: Mapping[str, str], *, required: bool, usual: bool) -> str | None:
    if lm.api_key_env is not None:
        if value := environ.get(lm.api_key_env, "").strip():
            return value
        raise NotSet(
            f"lm {lm.name} takes its key from {lm.api_key_env}, which is not set",
            help=f"set {lm.api_key_env} in the environment",
        )
    for name in known.key_env if usual else ():
        if value := environ.get(name, "").strip():
            return value
    if required:
        raise NotSet(
            f"lm {lm.name} ({lm.model}) needs a key, and {known.key_env[0]} is not set",
            help=f'set it, or name another variable with `api_key = env("…")` in lm {lm.name}',
        )
    return None


def _variable(lm: LM, header: str, variable: str, environ: Mapping[str, str]) -> str:
    """The value of a header that is in the environment."""
    value = environ.get(variable, "").strip()
    if not value:
        raise NotSet(
            f"lm {lm.name} takes the header `{header}` from {variable}, which is not set",
            help=f"set {variable} in the environment",
        )
    if not is_header_value(value):
        raise ConfigurationError(
            f"lm {lm.name}: {variable} cannot be the header `{header}`: it has line breaks, other control characters or letters "
            "beyond ASCII in it, or is too long"
        )
    return value


def _key_hint(lm: LM, known: Provider, *, named_by_file: bool) -> str:
    if lm.api_key_env is not None:
        return f"check the key in {lm.api_key_env}"
    if named_by_file or not known.key_env:
        return f'name the variable that holds the key: `api_key = env("…")` in lm {lm.name}'
    return f"check the key in {known.key_env[0]}"


@functools.lru_cache(maxsize=64)
def _checked(url: str, what: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port >= 0
    except ValueError:
        parts, port_is_number = SplitResult("", "", "", "", ""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_number:
        raise ConfigurationError(
            f"{what} is not an http or https URL",
            help="write the base of an OpenAI-compatible server, such as http://localhost:8000/v1",
        )
    return url.rstrip("/")


@functools.lru_cache(maxsize=64)
def _shown(url: str) -> str:
    """The URL without user, password and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
