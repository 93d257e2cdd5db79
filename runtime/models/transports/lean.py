"""OpenAI-compatible chat completions, with nothing in between.

For OpenAI itself and the many servers that speak its protocol. It sends exactly one request per
attempt, follows no redirect (a key must not travel), and never reads more than an answer may hold.
"""

from __future__ import annotations

import re
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from ...errors import Refused, Unavailable
from ...schema.types import JsonValue
from ..compact import compact
from ..endpoints import Endpoint, split_model
from ..protocol import Answer, Request
from .answers import (
    MAX_ANSWER_BYTES,
    billable,
    error_text,
    failure,
    may_be_left_out,
    read_answer,
    read_embedding,
    read_quotas,
    read_retry_after,
    too_large,
    untrusted,
    usage_in_error,
)
from .parts import messages_of
from .sse import StreamedAnswer
from .wire import Feed, Received, Sends, TooLarge, Wire, WireError

_NEWER_NAME = "max_completion_tokens"
_MAX_COMPLETION_TOKENS = re.compile(r"o\d|gpt-[5-9]")


class LeanTransport:
    """Connections to one endpoint, as many as the engine asks for at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint.url is not None, endpoint.provider
        self._endpoint = endpoint
        self._chat = _sends(_path(endpoint, "chat/completions"), endpoint)
        self._embeddings: Sends | None = None
        self._renaming: set[str] = set()
        """Models that want `max_tokens` under its newer name."""
        self._uncounted: set[str] = set()
        """Models that cannot be asked to say at a stream's end what it took."""

    async def complete(self, request: Request) -> Answer:
        if request.kind == "embedding":
            return await self._embed(request)
        payload = await self._payload(request)
        stream = None if request.heard is None else StreamedAnswer(request, request.heard)
        if stream is not None:
            payload["stream"] = True
            if request.lm.model not in self._uncounted:
                payload["stream_options"] = {"include_usage": True}
        try:
            received = await self._post(self._chat, payload, request, stream and stream.feed)
        except Refused as error:
            if "max_tokens" in payload and _NEWER_NAME in error.message:
                self._renaming.add(request.lm.model)
                error.parameter = "max_tokens"
            elif error.parameter == "stream_options":
                self._uncounted.add(request.lm.model)
            raise
        quotas = read_quotas(received.headers)
        if stream is not None and received.streamed:
            return stream.answer(quotas)
        return read_answer(received.body, request, quotas)

    async def _embed(self, request: Request) -> Answer:
        if self._embeddings is None:
            self._embeddings = _sends(_path(self._endpoint, "embeddings"), self._endpoint)
        _, model = split_model(request.lm.model)
        payload: dict[str, JsonValue] = {"model": model, "input": [request.messages[0].content]}
        return read_embedding((await self._post(self._embeddings, payload, request)).body, request)

    async def aclose(self) -> None:
        await self._chat.aclose()
        if self._embeddings is not None:
            await self._embeddings.aclose()

    async def _post(
        self, sends: Sends, payload: dict[str, JsonValue], request: Request, feed: Feed | None = None
    ) -> Received:
        """What came with a status of success; everything else as the error that it stands for."""
        try:
            received = await sends.post(compact(payload), feed)
        except TooLarge:
            raise billable(too_large()) from None
        except (WireError, OSError) as error:
            if (distrust := untrusted(error, self._endpoint)) is not None:
                raise distrust from None
            problem = self._endpoint.scrub(str(error)) or type(error).__name__
            failed = Unavailable(f"the connection failed: {problem}")
            # without a connection nothing was asked; after that, nobody knows how far it came
            raise billable(failed) if isinstance(error, WireError) else failed from None
        if 200 <= received.status < 300:
            return received
        failed = failure(
            received.status,
            error_text(received.body),
            self._endpoint,
            read_retry_after(received.headers),
            may_be_left_out(payload),
        )
        # an error counts as not billed, unless it says what it took
        usage = usage_in_error(received.body, request)
        raise failed if usage is None else billable(failed, usage)

    async def _payload(self, request: Request) -> dict[str, JsonValue]:
        _, model = split_model(request.lm.model)
        parameters = request.parameters()
        own = self._endpoint.provider == "openai" and _MAX_COMPLETION_TOKENS.match(model)
        if (own or request.lm.model in self._renaming) and "max_tokens" in parameters:
            parameters[_NEWER_NAME] = parameters.pop("max_tokens")
        return {"model": model, "messages": await messages_of(request), **parameters}


def _sends(url: str, endpoint: Endpoint) -> Sends:
    headers = {"Content-Type": "application/json", **dict(endpoint.headers)}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    proxy = _proxy(url)
    if proxy is None:
        return Wire(url, headers, most=MAX_ANSWER_BYTES)
    from .proxied import ProxiedWire

    return ProxiedWire(url, headers, proxy, most=MAX_ANSWER_BYTES)


def _path(endpoint: Endpoint, name: str) -> str:
    parts = urlsplit(endpoint.url or "")
    path = parts.path.rstrip("/")
    if endpoint.provider == "ollama_chat" and not path.endswith("/v1"):
        path += "/v1"
    # a key and a password in the URL cannot both be sent; the key is the more explicit
    host = parts.netloc.rpartition("@")[2] if endpoint.key else parts.netloc
    return urlunsplit((parts.scheme, host, f"{path}/{name}", parts.query, ""))


def _proxy(url: str) -> str | None:
    """The environment's proxy for `url`, looked up once instead of for every request."""
    parts = urlsplit(url)
    if parts.hostname is None or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
