"""Messages out of bytes, whatever the headers are like."""

from __future__ import annotations

import io

import pytest

from dspec.lsp.stream import MAX_BODY, bodies


def read(data: bytes) -> list[bytes]:
    return list(bodies(io.BytesIO(data)))


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 2\r\n",
        b"content-length: 2\r\n",
        b"CONTENT-LENGTH:2\r\n",
        b"Content-Length: 2\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nX-Other: 7\r\n",
    ],
)
def test_a_header_may_be_written_in_any_way(header: bytes) -> None:
    assert read(header + b"\r\n{}" + header + b"\r\n[]") == [b"{}", b"[]"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"Content-Length: 999999999999999999999999999999\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: two\r\n\r\n",
        b"\r\n\r\n",
        b"hello\n",
        b"x" * 200_000 + b"\n",
    ],
)
def test_what_makes_no_sense_is_skipped(nonsense: bytes) -> None:
    good = b"Content-Length: 2\r\n\r\n{}"
    assert read(nonsense + good + nonsense + good) == [b"{}", b"{}"]


def test_a_message_that_breaks_off_is_none() -> None:
    assert read(b"Content-Length: 10\r\n\r\n{}") == []
    assert read(b"Content-Length: 2\r\n") == []
    assert read(b"") == []
