"""Every provider LiteLLM knows, one attempt at a time.

LiteLLM translates requests, answers and errors; everything it would do besides is turned off: its
retries (it makes several paid calls out of one), caching, callbacks, downloading of prices, reading of
`.env`, logging and printing. Importing it takes seconds, so this module is imported only for a model
that needs it, and not on the event loop.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import socket
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from ...errors import ProviderError, Refused, Unavailable, Untrusted
from ...schema.types import JsonValue
from ...schema.usage import Usage
from ..endpoints import Endpoint, versioned
from ..protocol import Answer, Request
from .answers import (
    STREAMED,
    billable,
    checked,
    checked_embedding,
    failure,
    may_be_left_out,
    read_calls,
    read_quotas,
    read_retry_after,
    thought,
    untrusted,
    usage_in_error,
    usage_of,
)
from .parts import messages_of
from .sse import StreamedAnswer

_QUIET_IMPORT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
_NO_PROVIDER = "LLM Provider NOT provided"
_WRAPPING = re.compile(r"^(?:litellm\.\w+: |\w+Error: |\w+Exception - )+")
_DEEPEST = 10
"""Errors that are looked at underneath one of LiteLLM's."""
_import_lock = threading.Lock()
_open = 0
"""How many transports are in use: LiteLLM's clients are shared by them all and closed with the last."""


class LiteLLMTransport:
    """Calls to one endpoint through `litellm.acompletion`."""

    def __init__(self, endpoint: Endpoint) -> None:
        global _open
        self._endpoint = endpoint
        self._litellm = load_litellm()
        self._closed = False
        self._uncounted: set[str] = set()
        """Models that cannot be asked to say at a stream's end what it took."""
        self._whole: set[str] = set()
        """Models of which nothing came that LiteLLM takes for a stream."""
        with _import_lock:
            _open += 1

    async def complete(self, request: Request) -> Answer:
        embedding = request.kind == "embedding"
        options: dict[str, Any] = {
            **_parameters(request),
            "model": request.lm.model,
            "max_retries": 0,
            "timeout": request.lm.timeout,
            "caching": False,
            "drop_params": False,
        }
        if self._endpoint.url is not None:
            options["api_base"] = self._endpoint.url
        if self._endpoint.key is not None:
            options["api_key"] = self._endpoint.key
        elif self._endpoint.url is not None:
            # without one, LiteLLM would send a key it finds in the environment to whatever address this is
            options["api_key"] = "none"
        if self._endpoint.headers:
            options["extra_headers"] = dict(self._endpoint.headers)
        if request.lm.api_version is not None and versioned(request.lm.model):
            options["api_version"] = request.lm.api_version
        if embedding:
            options |= {"input": [request.messages[0].content], "encoding_format": "float"}
        else:
            options["messages"] = await messages_of(request)
        heard = None if embedding or request.lm.model in self._whole else request.heard
        stream = None if heard is None else StreamedAnswer(request, heard)
        if stream is not None:
            options["stream"] = True
            if request.lm.model not in self._uncounted:
                options["stream_options"] = {"include_usage": True}
        try:
            ask = self._litellm.aembedding if embedding else self._litellm.acompletion
            response = await ask(**options)
            if stream is not None:
                async for chunk in response:
                    stream.chunk(_chunk(chunk))
                if not _reports(response):
                    stream.unreported()
        except Exception as error:  # noqa: BLE001  LiteLLM lets through what its providers' libraries raise
            sent = may_be_left_out([*request.parameters(), *(STREAMED if stream is not None else ())])
            problem = provider_failure(error, self._endpoint, sent)
            if isinstance(problem, Untrusted):
                raise problem from None
            if isinstance(problem, Refused) and problem.parameter == "stream_options":
                self._uncounted.add(request.lm.model)
            usage = _usage_of_error(error, request)
            raise billable(problem, usage) if usage or _reached(error) else problem from None
        if stream is not None:
            if stream.empty:
                self._whole.add(request.lm.model)
            return stream.answer(read_quotas(_headers(response)))
        try:
            return _embedding(response, request) if embedding else _answer(response, request)
        except ProviderError as error:
            raise billable(error, _usage(response, request)) from None

    async def aclose(self) -> None:
        global _open
        if self._closed:
            return
        self._closed = True
        with _import_lock:
            _open -= 1
            last = _open == 0
        if last:
            await self._litellm.close_litellm_async_clients()
            self._litellm.in_memory_llm_clients_cache.flush_cache()


def provider_failure(error: Exception, endpoint: Endpoint, sent: Sequence[str] = ()) -> ProviderError:
    """What LiteLLM, or a library of one of its providers, raised, as the error that it stands for; `sent` are parameters that
    may be left out."""
    if (distrust := untrusted(error, endpoint)) is not None:
        return distrust
    status = getattr(error, "status_code", None)
    message = _WRAPPING.sub("", str(getattr(error, "message", "") or error))
    if _NO_PROVIDER in message:  # nothing was sent
        return Refused("no provider has a model of this name", help='name both: "openai/gpt-4o-mini"')
    if not isinstance(status, int) or status < 300:
        return Unavailable(f"the call failed: {endpoint.scrub(message) or type(error).__name__}")
    return failure(status, message, endpoint, _retry_after(error), sent)


def _chunk(chunk: Any) -> JsonValue:
    """A part of a stream, as the OpenAI protocol has it."""
    found = chunk.model_dump(warnings=False, exclude_none=True) if hasattr(chunk, "model_dump") else None
    return cast("JsonValue", found)


def _reports(stream: Any) -> bool:
    """Whether the provider said what a stream took. LiteLLM counts by itself where it did not, and shows no difference."""
    return any(getattr(chunk, "usage", None) is not None for chunk in getattr(stream, "chunks", ()))


def _answer(response: Any, request: Request) -> Answer:
    """LiteLLM's response object, read with the same suspicion as a body."""
    choices = getattr(response, "choices", None)
    if not choices:
        raise Unavailable("the answer has no choices")
    message = getattr(choices[0], "message", None)
    if message is None:
        raise Unavailable("the answer has no message")
    extra = cast("Mapping[str, Any]", getattr(message, "provider_specific_fields", None) or {})
    texts = (getattr(message, "content", None), getattr(message, "refusal", None), extra.get("refusal"))
    text = next((text for text in texts if isinstance(text, str) and text), "")
    finish = getattr(choices[0], "finish_reason", None)
    calls = read_calls([_plain(call) for call in getattr(message, "tool_calls", None) or ()], request)
    answer = checked(
        text,
        finish if isinstance(finish, str) else "stop",
        _usage(response, request),
        request,
        calls,
        _thought(message),
    )
    quotas = read_quotas(_headers(response))
    return answer if quotas is None else replace(answer, quotas=quotas)


def _parameters(request: Request) -> dict[str, Any]:
    """What is sent besides. LiteLLM takes what it does not know for settings of its own, addresses among them, unless it is
    said to be for the body."""
    extra = request.lm.extra
    named = {name: value for name, value in request.parameters().items() if name not in extra}
    return {**named, "extra_body": dict(extra)} if extra and request.kind == "chat" else named


def _thought(message: Any) -> str:
    fields = ("reasoning_content", "thinking_blocks")
    return thought({name: getattr(message, name, None) for name in fields})


def _headers(response: Any) -> dict[str, str]:
    """The provider's headers: LiteLLM hands them on under names of its own."""
    hidden: Any = getattr(response, "_hidden_params", None)
    headers: Any = hidden.get("additional_headers") if hasattr(hidden, "get") else None
    if not isinstance(headers, Mapping):
        return {}
    named = cast("Mapping[object, object]", headers)
    return {str(name).removeprefix("llm_provider-").lower(): str(value) for name, value in named.items()}


def _plain(call: Any) -> JsonValue:
    """A call of a tool as the OpenAI protocol has it."""
    function = getattr(call, "function", None)
    return {
        "function": {
            "name": getattr(function, "name", None),
            "arguments": getattr(function, "arguments", None),
        }
    }


def _embedding(response: Any, request: Request) -> Answer:
    data: Any = getattr(response, "data", None)
    entry: Any = data[0] if data else None
    vector: Any = entry.get("embedding") if hasattr(entry, "get") else None
    return checked_embedding(cast("JsonValue", vector), _usage(response, request), request)


def _usage(response: Any, request: Request) -> Usage | None:
    usage: Any = getattr(response, "usage", None)
    reported = usage.model_dump(warnings=False) if hasattr(usage, "model_dump") else None
    return usage_of(cast("JsonValue", reported), request)


def _usage_of_error(error: BaseException, request: Request) -> Usage | None:
    """What the provider's error says that it took; LiteLLM keeps its body only underneath, if at all."""
    cause: BaseException | None = error
    for _ in range(_DEEPEST):
        if cause is None:
            return None
        body = getattr(getattr(cause, "response", None), "content", None)
        if isinstance(body, bytes) and (usage := usage_in_error(body, request)) is not None:
            return usage
        cause = cause.__cause__ or cause.__context__
    return None


def _reached(error: BaseException) -> bool:
    """Whether the request may have been served: LiteLLM says 500 of a body that it cannot read, too.

    A status that the server sent comes with its headers; a connection that was never made says so underneath.
    """
    if getattr(error, "litellm_response_headers", None) is not None:
        return False
    cause: BaseException | None = error
    for _ in range(_DEEPEST):
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return False
        cause = (cause.__cause__ or cause.__context__) if cause is not None else None
    status = getattr(error, "status_code", None)
    return not isinstance(status, int) or status >= 500 or status < 300


def _retry_after(error: Exception) -> float | None:
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        if isinstance(headers, Mapping):
            found = read_retry_after(cast("Mapping[str, str]", headers))
            if found is not None:
                return found
    return None


def load_litellm() -> Any:
    """LiteLLM, imported without network or `.env`, and told to be quiet."""
    with _import_lock:
        before = {name: os.environ.get(name) for name in _QUIET_IMPORT}
        os.environ.update(_QUIET_IMPORT)
        try:
            litellm: Any = importlib.import_module("litellm")
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        # its types are put together when first used, with warnings about its own code
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            litellm.ModelResponse()
            litellm.ModelResponseStream()
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        return litellm
