"""The HTTP client: what servers really send. What hostile ones might is in `test_wire_hostile`."""

from __future__ import annotations

import asyncio
import gc
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wiring import CHUNKED, MOST, OK, ask, serving

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.transports.wire import Received, TooLarge, Wire, WireError


async def test_a_request_is_whole_and_its_connection_is_kept() -> None:
    async with serving(OK + b"Content-Length: 2\r\n\r\nhi") as (wire, asked):
        for _ in range(2):
            received = await wire.post(b"body")
            assert received == Received(200, {"content-length": "2"}, b"hi")
        assert wire._idle  # pyright: ignore[reportPrivateUsage]
    line, *headers = asked[0].decode().split("\r\n")
    assert line == "POST /v1/x%20y?a=b HTTP/1.1"
    assert {"X: 1", "Content-Length: 4", "Accept-Encoding: identity"} <= set(headers)


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=8), st.booleans())
def test_bodies_come_whole_however_they_are_cut(body: bytes, cuts: list[int], chunked: bool) -> None:
    if chunked:
        middle = len(body) // 2
        parts = [part for part in (body[:middle], body[middle:]) if part]
        sent = CHUNKED + b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts)
        sent += b"0\r\nTrailer: yes\r\n\r\n"
    else:
        sent = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces: list[bytes] = []
    for cut in cuts:
        pieces.append(sent[:cut])
        sent = sent[cut:]
    pieces.append(sent)
    received = asyncio.run(ask(*pieces))
    assert (received.status, received.body) == (200, body)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 429 Slow Down Please\r\nContent-Length: 0\r\n\r\n", 429, b""),
        (b"HTTP/1.1 204\r\n\r\n", 204, b""),
        (
            OK + b"Content-Encoding: gzip\r\nContent-Length: 24\r\n\r\n" + gzip.compress(b"hey!", mtime=0),
            200,
            b"hey!",
        ),
    ],
)
async def test_unusual_answers(sent: bytes, status: int, body: bytes) -> None:
    received = await ask(sent)
    assert (received.status, received.body) == (status, body)


async def test_a_body_may_end_with_the_connection() -> None:
    assert (await ask(OK + b"\r\nall of it", stay=False)).body == b"all of it"
    assert (await ask(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", stay=False)).body == b"hi"


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-hello\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length : 3\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        OK + b"Content-Length: -3\r\n\r\n",
        OK + b"Content-Length: 99999999999999999999\r\n\r\n",
        OK + b"Content-Length: \xb2\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"3\r\nabcXX",
        CHUNKED + b"x" * 2000,
        OK + b"A: " + b"x" * 70_000,
    ],
)
async def test_what_is_not_http_is_an_error(sent: bytes) -> None:
    with pytest.raises(WireError):
        await ask(sent)


@pytest.mark.parametrize(
    "sent",
    [
        OK + b"Content-Length: 1001\r\n\r\n",
        CHUNKED + b"3e9\r\n" + b"x" * 1001,
        CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501,
        OK + b"\r\n" + b"x" * 1001,
        OK
        + b"Content-Encoding: gzip\r\nContent-Length: 36\r\n\r\n"
        + gzip.compress(b"x" * 5000, mtime=0)[:36],
    ],
)
async def test_nothing_larger_than_allowed_is_read(sent: bytes) -> None:
    with pytest.raises(TooLarge):
        await ask(sent)


@pytest.mark.parametrize("sent", [b"", OK, OK + b"Content-Length: 9\r\n\r\nabc", CHUNKED + b"5\r\nab"])
async def test_a_connection_that_ends_early_is_an_error(sent: bytes) -> None:
    with pytest.raises(WireError, match="before the answer was whole"):
        await ask(sent, stay=False)


async def test_a_packed_body_that_ends_with_the_connection_is_checked_too() -> None:
    with pytest.raises(WireError, match="packed"):
        await ask(OK + b"Content-Encoding: gzip\r\n\r\nnot packed", stay=False)


async def test_a_connection_with_leftovers_is_not_used_again() -> None:
    async with serving(OK + b"Content-Length: 1\r\n\r\nxEXTRA") as (wire, _):
        assert (await wire.post(b"body")).body == b"x"
        assert not wire._idle  # pyright: ignore[reportPrivateUsage]


async def test_cancelling_closes_the_connection() -> None:
    async with serving(b"HTTP/1.1 200") as (wire, asked):
        waiting = asyncio.create_task(wire.post(b"body"))
        while not asked:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert not wire._idle  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("value", ["a\nb: c", "a\rb", "a\0b", "\U0001f511"])
def test_a_key_cannot_write_headers(value: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        Wire("http://h/", {"Authorization": value}, most=MOST)


async def test_a_user_and_password_in_the_address_are_sent_as_such() -> None:
    async with serving(OK + b"Content-Length: 0\r\n\r\n") as (wire, asked):
        port = wire._port  # pyright: ignore[reportPrivateUsage]
        other = Wire(f"http://me:p%40ss@127.0.0.1:{port}/", {}, most=MOST)
        await other.post(b"body")
        await other.aclose()
    assert b"Authorization: Basic bWU6cEBzcw==" in asked[0]


async def test_a_caller_that_leaves_while_a_connection_is_opened_leaves_no_socket() -> None:
    """pytest makes an error of a warning that a socket was not closed."""
    async with serving(OK + b"Content-Length: 2\r\n\r\nhi") as (wire, _):
        for rounds in range(60):
            asking = asyncio.ensure_future(wire.post(b"body"))
            for _ in range(rounds):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            del asking
    gc.collect()
