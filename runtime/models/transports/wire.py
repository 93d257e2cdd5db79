"""HTTP/1.1 POST over kept connections, as little of it as an answer needs.

A general client spends more on one request than the rest of the engine on one call. This one knows a
single address and sends bodies it is given; answers are read by llhttp, through httptools, at its
strictest. What it leaves open is closed here: lengths and headers are bounded, and what an answer to a POST
cannot be ends the connection. It follows no redirect, keeps no cookie, retries nothing (a request whose
connection ended may have been served, and only the engine may pay twice) and speaks to no proxy
(`proxied` does).
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import zlib
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import quote, unquote, urlsplit

import httptools
from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]
from msgspec import Struct

from ...errors import ConfigurationError
from .sse import EVENT_STREAM, MAX_STREAM_BYTES

MAX_HEAD_BYTES = 64 * 1024
KEEP_ALIVE = 4.0
"""Seconds: shorter than the five after which common servers close an idle connection."""

_FRAMING_PER_BYTE = 8
"""Bytes around a body's bytes at most, the head aside; six where each is a chunk of its own."""
_STAGGER = 0.25
"""Seconds before the next address of a host is tried beside the first (RFC 8305)."""


_PATIENCE = 1.0
"""Seconds that the end of a message may take once a stream has said that it is over."""

Feed = Callable[[bytes], bool]
"""Takes what comes of a stream, and says whether that is all of it."""


class WireError(Exception):
    """The connection ended early, or what came over it is not HTTP."""


class TooLarge(Exception):
    """The body is larger than was allowed."""


class Received(Struct, frozen=True):
    """`headers` have lower-case names; of repeated ones the last. `streamed` is True where the body was handed on as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    streamed: bool = False


def is_stream(status: int, headers: dict[str, str]) -> bool:
    """Whether a body is to be handed on as it comes."""
    coding = headers.get("content-encoding", "identity").lower()
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return 200 <= status < 300 and kind == EVENT_STREAM and coding == "identity"


class Sends(Protocol):
    """Life cycle: made once per address, `post` called many times at once, closed once."""

    async def post(self, body: bytes, feed: Feed | None = None) -> Received:
        """One request. A stream of events is handed on to `feed` as it comes. Raises WireError, TooLarge, OSError;
        cancellation closes the connection."""
        ...

    async def aclose(self) -> None: ...


class Wire:
    """Connections to one URL, as many as are asked for at once; idle ones are kept for `KEEP_ALIVE`."""

    def __init__(self, url: str, headers: dict[str, str], *, most: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "addresses are checked before they get here"
        self._host = (
            parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        )
        secure = parts.scheme == "https"
        self._port = parts.port or (443 if secure else 80)
        self._context = _tls() if secure else None
        self._most = most
        self._idle: list[_Connection] = []
        self._used: set[_Connection] = set()
        shown = f"[{self._host}]" if ":" in self._host else self._host
        if parts.port is not None:
            shown += f":{parts.port}"
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
            "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~[]") if parts.query else ""
        )
        named = {
            "Host": shown,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "dspec",
            **headers,
        }
        if parts.username is not None and "Authorization" not in headers:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            named["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._head = _head(f"POST {path} HTTP/1.1", named)

    async def post(self, body: bytes, feed: Feed | None = None) -> Received:
        loop = asyncio.get_running_loop()
        connection = self._waiting(loop.time()) or await self._open(loop)
        self._used.add(connection)
        try:
            received = await connection.ask(loop, b"%b%d\r\n\r\n%b" % (self._head, len(body), body), feed)
        except BaseException:
            connection.abort()
            raise
        finally:
            self._used.discard(connection)
        if connection.reusable:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        else:
            connection.abort()
        return received

    async def aclose(self) -> None:
        for connection in (*self._idle, *self._used):
            connection.abort()
        self._idle.clear()
        # closing is carried out by the loop's next round
        await asyncio.sleep(0)

    def _waiting(self, now: float) -> _Connection | None:
        """The idle connection that was used last, if it is still good."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.idle_since < KEEP_ALIVE:
                return connection
            connection.abort()
        return None

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        """Raises OSError. asyncio can race addresses, too, and leaks the socket of a caller that leaves as it is connected."""
        places = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await start_connection(places, happy_eyeballs_delay=_STAGGER)
        _, connection = await loop.create_connection(
            lambda: _Connection(self._most),
            sock=connected,
            ssl=self._context,
            server_hostname=self._host if self._context is not None else None,
        )
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one question at a time. Methods named `on_…` are what the parser tells."""

    def __init__(self, most: int) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Received] | None = None
        self._headers: dict[str, str] = {}
        self._begun = False
        """Whether the headers are over and a body is to come."""
        self._body: list[bytes] = []
        self._size = 0
        self._framing = 0
        """Bytes that are not the body's: status lines, headers, sizes of chunks and what stands behind them."""
        self._refused: WireError | TooLarge | None = None
        self._feed: Feed | None = None
        self._streaming = False
        self._over: asyncio.TimerHandle | None = None
        """Set once a stream is over and the message's end has not come."""

    def ask(
        self, loop: asyncio.AbstractEventLoop, data: bytes, feed: Feed | None = None
    ) -> asyncio.Future[Received]:
        self._answer = answer = loop.create_future()
        self._feed = feed
        if self._transport is None or not self.reusable:
            answer.set_exception(WireError("the server closed the connection"))
        else:
            self._transport.write(data)
        return answer

    def abort(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        answer = self._answer
        if answer is not None and not answer.done():
            framed = "content-length" in self._headers or "transfer-encoding" in self._headers
            if self._begun and ((not framed and exc is None) or self._over is not None):
                self._finish()
            else:
                cause = f": {exc}" if exc else ""
                self._fail(WireError(f"the server closed the connection before the answer was whole{cause}"))
        # the parser holds this object, too
        del self._parser

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nothing was asked: whatever this is, it is not an answer
            return
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(self._refused or WireError(f"the answer is not HTTP: {error}"))
        else:
            if self._framing > MAX_HEAD_BYTES + _FRAMING_PER_BYTE * self._size:
                self._fail(WireError("the answer's headers are too large"))

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._refuse(WireError("there is more than was asked for"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            return  # a trailer, which must not pass for a header
        key = name.lower().decode("latin-1")
        if key == "transfer-encoding" and key in self._headers:
            self._refuse(WireError("the answer has two transfer encodings"))
        self._headers[key] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        status, headers = self._parser.get_status_code(), self._headers
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse(WireError("the answer is in another version of HTTP"))
        if status < 100 or status == 101 or (status < 200 and (coding or length)):
            self._refuse(WireError("the answer is no answer to what was asked"))
        if coding is not None and coding.lower() != "chunked":
            self._refuse(WireError("the answer's transfer encoding is not known"))
        self._streaming = self._feed is not None and is_stream(status, headers)
        if length is not None and int(length) > (MAX_STREAM_BYTES if self._streaming else self._most):
            self._refuse(TooLarge())
        self._begun = status >= 200
        if status in (204, 304) and (coding or length):
            # these have no body, and what the parser would take for it is not to be waited for
            self.reusable = False
            self._finish()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        self._framing -= len(body)
        if self._size > (MAX_STREAM_BYTES if self._streaming else self._most):
            self._refuse(TooLarge())
        if not self._streaming:
            self._body.append(body)
        elif self._over is None and self._feed is not None and self._feed(body):
            self._over = asyncio.get_running_loop().call_later(_PATIENCE, self._end)

    def on_message_complete(self) -> None:
        if not self._begun:
            self._headers = {}  # of an interim answer: the real one follows
            return
        assert self._transport is not None
        # an answer that came before the question was read is no place to put the next one
        whole = self._transport.get_write_buffer_size() == 0
        self.reusable = self.reusable and whole and self._parser.should_keep_alive()
        self._finish()

    def _end(self) -> None:
        """Of a stream that is over and whose message does not end."""
        self._finish()
        self.abort()

    def _refuse(self, problem: WireError | TooLarge) -> None:
        """Stops the parser, which does not hand on what is raised while it tells."""
        self._refused = problem
        raise problem

    def _fail(self, problem: WireError | TooLarge) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem)
        self.abort()

    def _finish(self) -> None:
        answer, headers, body = self._answer, self._headers, b"".join(self._body)
        self._answer = self._feed = None
        streamed, self._streaming = self._streaming, False
        if self._over is not None:
            self._over.cancel()
            self._over = None
        self._headers, self._body = {}, []
        self._size = self._framing = 0
        self._begun = False
        if answer is None or answer.done():
            return
        try:
            status = self._parser.get_status_code()
            received = Received(status, headers, _decoded(body, headers, self._most), streamed)
        except (WireError, TooLarge) as problem:
            answer.set_exception(problem)
        else:
            answer.set_result(received)


def _head(first: str, headers: dict[str, str]) -> bytes:
    """The request's head up to the length's value."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    try:
        head = "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
    except UnicodeEncodeError:
        head = b"\0"
    # a line break in a key would let it write headers of its own
    if b"\0" in head or head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise ConfigurationError(
            "the key holds characters that cannot be sent", help="check the key's variable"
        )
    return head


def _decoded(body: bytes, headers: dict[str, str], most: int) -> bytes:
    """The body, unpacked where a server compresses though it was asked not to."""
    coding = headers.get("content-encoding", "identity").lower()
    if coding == "identity" or not body:
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise WireError("the answer's content encoding is not known")
    unpacking = zlib.decompressobj(wbits=47)
    try:
        unpacked = unpacking.decompress(body, most + 1)
    except zlib.error:
        raise WireError("the answer is not packed as it says") from None
    if len(unpacked) > most:
        raise TooLarge
    if not unpacking.eof:
        raise WireError("the answer was cut")
    return unpacked


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
