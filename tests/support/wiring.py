"""A `Wire` to a server on loopback that says, byte for byte, what a test gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dspec.runtime.models.transports.wire import Received, Wire

MOST = 1000


@asynccontextmanager
async def serving(*pieces: bytes, stay: bool = True) -> AsyncGenerator[tuple[Wire, list[bytes]]]:
    """A wire to a server that answers every request with `pieces`, each in a packet of its own."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append(head + await reader.readexactly(4))
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not stay:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x y?a=b", {"X": "1"}, most=MOST)
    try:
        yield wire, asked
    finally:
        await wire.aclose()
        server.close()
        await server.wait_closed()


async def ask(*pieces: bytes, stay: bool = True) -> Received:
    async with serving(*pieces, stay=stay) as (wire, _), asyncio.timeout(60):
        return await wire.post(b"body")


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
