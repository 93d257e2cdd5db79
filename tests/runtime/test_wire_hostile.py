"""The HTTP client against servers that mean harm or do not know better, byte for byte; sections are of RFC 9112."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from wiring import CHUNKED, MOST, OK, ask, serving

from dspec.runtime.models.transports import wire as module
from dspec.runtime.models.transports.wire import Wire, WireError

PEM = Path(__file__).parent.parent / "support" / "localhost.pem"
"""A certificate for `localhost` that nobody trusts, and its key."""
HI = OK + b"Content-Length: 2\r\n\r\nhi"
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    "sent",
    [
        # 2.2: line ends and blanks
        OK.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\nhi",
        OK + b"A: b\rC: d\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"A: b\nContent-Length: 2\r\n\r\nhi",
        # 4: the status line
        b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b" HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi",
        # 5: headers; 5.2: folded lines
        OK + b"Content-Length : 2\r\n\r\nhi",
        OK + b": x\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"A b: x\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"A: x\0y\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"Content-Length: 2\r\n 0\r\n\r\nhi",
        # 6.1: transfer encodings
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding:\x0bchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        # 6.2: lengths
        OK + b"Content-Length: 2, 2\r\n\r\nhi",
        OK + b"Content-Length: 2 2\r\n\r\nhi",
        OK + b"Content-Length: +2\r\n\r\nhi",
        OK + b"Content-Length: 0x2\r\n\r\nhi",
        OK + b"Content-Length:\r\n\r\nhi",
        OK + b"Content-Length: 2\r\nContent-Length: 200\r\n\r\nhi",
        # 7.1: chunks
        CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"+2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nhi0\r\n\r\n",
        CHUNKED + b"\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"1" + b"0" * 16 + b"\r\nhi",
        CHUNKED + b"2\r\nhi\r\n0\r\nbad trailer\r\n\r\n",
        # 9.9 and 110, 15.2: interim answers have no body, and nobody asked for another protocol
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + HI,
        b"HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\nhi" + HI,
        b"HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HI,
    ],
)
async def test_what_could_be_read_in_two_ways_is_not_read(sent: bytes) -> None:
    with pytest.raises(WireError):
        await ask(sent)


@pytest.mark.parametrize(
    "sent",
    [
        (b"HTTP/1.1 200 " + b"x" * 5000, b"x" * 5000),
        (OK, b"X-" + b"x" * 5000),
        (OK + b"A: ", b"x" * 5000),
        (OK, b"A: x\r\n" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
        (CHUNKED + b"2;", b"x" * 5000),
        (CHUNKED, b"1;" + b"x" * 5000 + b"\r\nx\r\n"),
        (CHUNKED + b"2\r\nhi\r\n0\r\n", b"A: x\r\n" * 1000),
        (CHUNKED + b"2\r\nhi\r\n0\r\nA: ", b"x" * 5000),
    ],
    ids=["reason", "name", "value", "headers", "interim", "extension", "extensions", "trailers", "trailer"],
)
async def test_whatever_has_no_end_ends(sent: tuple[bytes, bytes]) -> None:
    start, more = sent
    gone = asyncio.Event()

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        with contextlib.suppress(ConnectionError):
            writer.write(start)
            while sent < 64 << 20:
                writer.write(more)
                sent += len(more)
                await writer.drain()
            return
        gone.set()

    async with raw(endless) as wire, asyncio.timeout(60):
        with pytest.raises(WireError, match="too large"):
            await wire.post(b"body")
        await gone.wait()


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (OK + b"CONTENT-LENGTH:2\r\n\r\nhi", b"hi"),
        (OK + b"content-length: \t 2  \r\n\r\nhi", b"hi"),
        (OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (CHUNKED + b"0002\r\nhi\r\n000\r\n\r\n", b"hi"),
        (CHUNKED + b'2;a="b"\r\nhi\r\n0\r\n\r\n', b"hi"),
        (CHUNKED + b"".join(b"1\r\nx\r\n" for _ in range(MOST)) + b"0\r\n\r\n", b"x" * MOST),
        (b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Early\r\nLink: </>\r\n\r\n" + HI, b"hi"),
        (OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
async def test_what_is_allowed_is_read_and_the_connection_kept(sent: bytes, body: bytes) -> None:
    async with serving(sent) as (wire, asked), asyncio.timeout(60):
        for _ in range(2):
            assert (await wire.post(b"body")).body == body
        assert len(asked) == 2
        assert kept(wire)


@pytest.mark.parametrize(
    "sent",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"connection: x, CLOSE\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        HI + HI,
        HI + b"HTTP/1.1",
        HI + b"garbage",
        b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ],
)
async def test_a_connection_that_may_hold_more_is_not_used_again(sent: bytes) -> None:
    async with serving(sent) as (wire, _), asyncio.timeout(60):
        received = await wire.post(b"body")
        assert received.body == (b"hi" if received.status == 200 else b"")
        assert not kept(wire)


async def test_what_comes_unasked_is_never_an_answer() -> None:
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"body")
        writer.write(HI)
        await asyncio.sleep(0.02)
        writer.write(OK + b"Content-Length: 4\r\n\r\nevil")

    async with raw(twice) as wire, asyncio.timeout(60):
        assert (await wire.post(b"body")).body == b"hi"
        await asyncio.sleep(0.05)
        assert (await wire.post(b"body")).body == b"hi"


async def test_a_trailer_does_not_pass_for_a_header() -> None:
    received = await ask(CHUNKED + b"2\r\nhi\r\n0\r\nRetry-After: 9\r\nContent-Encoding: gzip\r\n\r\n")
    assert (received.body, received.headers) == (b"hi", {"transfer-encoding": "chunked"})


async def test_an_answer_that_comes_before_the_question_is_read_is_taken() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(0.1)

    async with raw(hasty) as wire, asyncio.timeout(60):
        received = await wire.post(b"x" * (16 << 20))
        assert (received.status, received.body) == (413, b"no")
        assert not kept(wire)


async def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"body")
        writer.write(HI)

    async with raw(once) as wire, asyncio.timeout(60):
        for _ in range(3):
            assert (await wire.post(b"body")).body == b"hi"
            await asyncio.sleep(0.02)
        assert connections == 3


async def test_a_request_that_may_have_been_served_is_not_sent_again() -> None:
    asked = 0

    async def unsure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        for said in (HI, b""):
            await reader.readuntil(b"body")
            asked += 1
            writer.write(said)

    async with raw(unsure) as wire, asyncio.timeout(60):
        assert (await wire.post(b"body")).body == b"hi"
        with pytest.raises(WireError, match="before the answer was whole"):
            await wire.post(b"body")
        assert asked == 2
        assert (await wire.post(b"body")).body == b"hi"


async def test_a_connection_that_was_idle_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.0)
    async with serving(HI) as (wire, _):
        await wire.post(b"body")
        first = wire._idle[0]  # pyright: ignore[reportPrivateUsage]
        await wire.post(b"body")
        assert wire._idle[0] is not first  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("trusted", "host"), [(False, "localhost"), (True, "127.0.0.1"), (True, "localhost")]
)
async def test_nothing_is_said_to_a_server_that_is_not_who_it_should_be(
    trusted: bool, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    named: list[str | None] = []
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    context.sni_callback = lambda _, name, __: named.append(name)  # type: ignore[assignment]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"body"))
        writer.write(HI)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    wire = Wire(f"https://{host}:{server.sockets[0].getsockname()[1]}/", {}, most=MOST)
    async with asyncio.timeout(60):
        if trusted and host == "localhost":
            assert (await wire.post(b"body")).body == b"hi"
            assert named == ["localhost"]
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await wire.post(b"body")
            assert not heard
    await wire.aclose()
    server.close()


def kept(wire: Wire) -> bool:
    return bool(wire._idle)  # pyright: ignore[reportPrivateUsage]


@contextlib.asynccontextmanager
async def raw(streams: Streams) -> AsyncGenerator[Wire]:
    """A wire to a server that does with each connection what `streams` does, and then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await streams(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, most=MOST)
    try:
        yield wire
    finally:
        await wire.aclose()
        server.close()
