"""The same requests through the proxy that the environment names, by aiohttp.

Proxies have their own handshakes, names and credentials; a client that is known to handle them does.
Imported only where there is a proxy.
"""

from __future__ import annotations

import io

import aiohttp

from .sse import MAX_STREAM_BYTES
from .wire import KEEP_ALIVE, Feed, Received, TooLarge, WireError, is_stream

_LARGE = 1024 * 1024


class ProxiedWire:
    """`Wire`'s contract, with a proxy in between."""

    def __init__(self, url: str, headers: dict[str, str], proxy: str, *, most: int) -> None:
        self._url = url
        self._headers = headers
        self._proxy = proxy
        self._most = most
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, feed: Feed | None = None) -> Received:
        if self._session is None:
            # deadlines and the number of connections are the engine's; cookies are nobody's
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                proxy=self._proxy,
            )
        # aiohttp warns of large bytes; a file-like body is sent in pieces
        data = body if len(body) <= _LARGE else io.BytesIO(body)
        try:
            async with self._session.post(self._url, data=data, allow_redirects=False) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                if feed is not None and is_stream(response.status, headers):
                    await self._hand_on(response, feed)
                    return Received(response.status, headers, b"", streamed=True)
                return Received(response.status, headers, await self._read(response))
        except aiohttp.ClientConnectorError as error:
            raise OSError(str(error)) from error
        except aiohttp.ClientError as error:
            raise WireError(str(error) or type(error).__name__) from None

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _hand_on(self, response: aiohttp.ClientResponse, feed: Feed) -> None:
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_STREAM_BYTES:
                response.close()
                raise TooLarge
            if feed(chunk):
                return

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, refused as soon as it passes the cap."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._most:
                response.close()
                raise TooLarge
        return b"".join(chunks)
