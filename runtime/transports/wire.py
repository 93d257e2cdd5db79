"""HTTP/1.1 POST over kept connections, as little of it as an answer needs.

A general client spends more on one request than the rest of the engine on one call. This one knows a
single address, sends bodies it is given, and reads the answer with suspicion: lengths, headers and
chunks are bounded, what does not follow the protocol ends the connection. It follows no redirect,
keeps no cookie, retries nothing and speaks to no proxy (`proxied` does).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import zlib
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import quote, unquote, urlsplit

from ..errors import ConfigurationError

MAX_HEAD_BYTES = 64 * 1024
KEEP_ALIVE = 4.0
"""Seconds: shorter than the five after which common servers close an idle connection."""

_MAX_CHUNK_LINE = 1024
_STAGGER = 0.25
"""Seconds before the next address of a host is tried beside the first (RFC 8305)."""


class WireError(Exception):
    """The connection ended early, or what came over it is not HTTP."""


class TooLarge(Exception):
    """The body is larger than was allowed."""


@dataclass(frozen=True, slots=True)
class Received:
    """`headers` have lower-case names; of repeated ones the last."""

    status: int
    headers: dict[str, str]
    body: bytes


class Sends(Protocol):
    """Life cycle: made once per address, `post` called many times at once, closed once."""

    async def post(self, body: bytes) -> Received:
        """One request. Raises WireError, TooLarge, OSError; cancellation closes the connection."""
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

    async def post(self, body: bytes) -> Received:
        loop = asyncio.get_running_loop()
        connection = self._waiting(loop.time()) or await self._open(loop)
        self._used.add(connection)
        try:
            received = await connection.ask(loop, b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
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
        _, connection = await loop.create_connection(
            lambda: _Connection(self._most),
            self._host,
            self._port,
            ssl=self._context,
            happy_eyeballs_delay=_STAGGER,
        )
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one question at a time."""

    def __init__(self, most: int) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Received] | None = None
        self._buffer = bytearray()
        self._searched = 0
        self._status = 0
        self._headers: dict[str, str] | None = None
        self._length: int | None = None
        self._chunked = False
        self._chunk_left: int | None = None
        """Bytes of the current chunk still to come, with its line end; None before a chunk's size."""
        self._trailers = False
        self._body = bytearray()

    def ask(self, loop: asyncio.AbstractEventLoop, data: bytes) -> asyncio.Future[Received]:
        self._answer = answer = loop.create_future()
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
        if answer is None or answer.done():
            return
        until_end = self._headers is not None and not self._chunked and self._length is None
        if until_end and exc is None:
            try:
                self._finish(bytes(self._buffer))
            except (WireError, TooLarge) as error:
                answer.set_exception(error)
        else:
            cause = f": {exc}" if exc else ""
            answer.set_exception(
                WireError(f"the server closed the connection before the answer was whole{cause}")
            )

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nothing was asked: whatever this is, it is not an answer
            return
        self._buffer += data
        try:
            self._advance()
        except (WireError, TooLarge) as error:
            self._answer.set_exception(error)
            self.abort()

    def _advance(self) -> None:
        while self._headers is None:
            end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
            if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES):
                raise WireError("the answer's head is too large")
            if end < 0:
                self._searched = len(self._buffer)
                return
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            self._searched = 0
            self._begin(head)
        if self._chunked:
            self._take_chunks()
        elif self._length is None:
            if len(self._buffer) > self._most:
                raise TooLarge
        elif len(self._buffer) >= self._length:
            extra = len(self._buffer) > self._length
            self.reusable = self.reusable and not extra
            self._finish(bytes(self._buffer[: self._length]) if extra else bytes(self._buffer))

    def _begin(self, head: bytes) -> None:
        """The status line and headers, and how the body will end."""
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest[:3]
        if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3 or not _digits(status):
            raise WireError("the answer is not HTTP")
        self._status = int(status)
        if self._status < 200:
            if self._status == 101:
                raise WireError("the server wants to switch protocols")
            return
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise WireError("a header of the answer is malformed")
            name, value = name.lower(), value.strip()
            if name == "content-length" and headers.get(name, value) != value:
                raise WireError("the answer has two lengths")
            headers[name] = value
        self._headers = headers
        said = headers.get("connection", "").lower()
        if "close" in said or (version == "HTTP/1.0" and "keep-alive" not in said):
            self.reusable = False
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if self._status in (204, 304):
            self._length = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise WireError("the answer's transfer encoding is not known")
            self._chunked = True
            if length is not None:
                self.reusable = False  # RFC 9112, 6.3: somebody on the way is confused
        elif length is not None:
            if not _digits(length) or len(length) > 12:
                raise WireError("the answer's length is not a number")
            self._length = int(length)
            if self._length > self._most:
                raise TooLarge
        else:
            self.reusable = False

    def _take_chunks(self) -> None:
        buffer = self._buffer
        while True:
            if self._chunk_left is not None:
                if len(buffer) < self._chunk_left:
                    return
                content = self._chunk_left - 2
                if not buffer.startswith(b"\r\n", content):
                    raise WireError("a chunk of the answer is malformed")
                self._body += buffer[:content]
                del buffer[: self._chunk_left]
                self._chunk_left = None
            end = buffer.find(b"\r\n", 0, MAX_HEAD_BYTES if self._trailers else _MAX_CHUNK_LINE)
            if end < 0:
                if len(buffer) >= (MAX_HEAD_BYTES if self._trailers else _MAX_CHUNK_LINE):
                    raise WireError("a chunk of the answer is malformed")
                return
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            if self._trailers:
                if line:
                    continue
                self.reusable = self.reusable and not buffer
                self._finish(bytes(self._body))
                return
            size = line.partition(b";")[0].strip()
            if not 0 < len(size) <= 8 or size.strip(b"0123456789abcdefABCDEF"):
                raise WireError("a chunk of the answer is malformed")
            content = int(size, 16)
            if len(self._body) + content > self._most:
                raise TooLarge
            self._trailers = content == 0
            self._chunk_left = content + 2 if content else None

    def _finish(self, body: bytes) -> None:
        assert self._headers is not None
        assert self._answer is not None
        received = Received(self._status, self._headers, _decoded(body, self._headers, self._most))
        self._answer.set_result(received)
        self._answer = None
        self._headers = None
        self._length = None
        self._chunked = self._trailers = False
        self._buffer.clear()
        self._body = bytearray()


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


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


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
