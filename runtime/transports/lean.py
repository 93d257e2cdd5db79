"""OpenAI-compatible chat completions over aiohttp, with nothing in between.

For OpenAI itself and the many servers that speak its protocol. It sends exactly one request per
attempt, follows no redirect (a key must not travel), and never reads more than an answer may hold.
"""

from __future__ import annotations

import io
import json
import re
import urllib.request
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from ..endpoints import Endpoint, split_model
from ..errors import Unavailable
from ..types import JsonValue
from .answers import MAX_ANSWER_BYTES, error_text, failure, read_answer, read_retry_after, too_large
from .base import Answer, Request

_MAX_COMPLETION_TOKENS = re.compile(r"o\d|gpt-[5-9]")
_LARGE = 1024 * 1024
_KEEP_ALIVE = 4.0
"""Seconds: shorter than the five after which common servers close an idle connection."""


class LeanTransport:
    """Connections to one endpoint, as many as the engine asks for at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint.url is not None, endpoint.provider
        self._endpoint = endpoint
        self._url = _chat_url(endpoint)
        self._headers = {"Content-Type": "application/json"}
        if endpoint.key:
            self._headers["Authorization"] = f"Bearer {endpoint.key}"
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request) -> Answer:
        body = json.dumps(self._payload(request)).encode()
        if self._session is None:
            self._session = _open_session(self._url, self._headers)
        # aiohttp warns of large bytes; a file-like body is sent in pieces
        data = body if len(body) <= _LARGE else io.BytesIO(body)
        try:
            async with self._session.post(self._url, data=data, allow_redirects=False) as response:
                received = await _read(response)
                if response.status == 200:
                    return read_answer(received, request)
                raise failure(
                    response.status,
                    error_text(received),
                    self._endpoint,
                    read_retry_after(response.headers),
                )
        except (aiohttp.ClientError, OSError) as error:
            problem = self._endpoint.scrub(str(error)) or type(error).__name__
            raise Unavailable(f"the connection failed: {problem}") from None

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _payload(self, request: Request) -> dict[str, JsonValue]:
        _, model = split_model(request.lm.model)
        parameters = request.parameters()
        own = self._endpoint.provider == "openai" and _MAX_COMPLETION_TOKENS.match(model)
        if own and "max_tokens" in parameters:
            parameters["max_completion_tokens"] = parameters.pop("max_tokens")
        messages: list[JsonValue] = [
            {"role": message.role, "content": message.content} for message in request.messages
        ]
        return {"model": model, "messages": messages, **parameters}


def _open_session(url: str, headers: dict[str, str]) -> aiohttp.ClientSession:
    # deadlines and the number of connections are the engine's; cookies are nobody's
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        proxy=_proxy(url),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, refused as soon as it passes the cap."""
    if (response.content_length or 0) > MAX_ANSWER_BYTES:
        response.close()
        raise too_large()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            response.close()
            raise too_large()
    return b"".join(chunks)


def _chat_url(endpoint: Endpoint) -> str:
    parts = urlsplit(endpoint.url or "")
    path = parts.path.rstrip("/")
    if endpoint.provider == "ollama_chat" and not path.endswith("/v1"):
        path += "/v1"
    # a key and a password in the URL cannot both be sent; the key is the more explicit
    host = parts.netloc.rpartition("@")[2] if endpoint.key else parts.netloc
    return urlunsplit((parts.scheme, host, f"{path}/chat/completions", parts.query, ""))


def _proxy(url: str) -> str | None:
    """The environment's proxy for `url`, looked up once instead of for every request."""
    parts = urlsplit(url)
    if parts.hostname is None or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
