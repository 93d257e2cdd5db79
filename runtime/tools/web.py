"""Asks servers for JSON, for the sources that are one request: bounded in size, never led elsewhere.

A redirect is refused, since it would lead away from what was allowed. Cookies and `.netrc` are not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from msgspec import Struct

from ..errors import ConfigurationError
from ..models.compact import compact
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import ToolOption, ToolProblem, from_environment, text_option

if TYPE_CHECKING:
    import aiohttp

_SLACK = 65_536
"""Bytes of a body besides those of its longest result."""
_SHOWN = 300
_HOST = re.compile(r"^(https?://)(?:[^/?#]*@)?([^/?#]*).*", re.DOTALL | re.IGNORECASE)
"""Scheme, host and port of an address, without a name and a password."""

ADDRESS = (
    ToolOption("url", pattern=r"https?://[^\s\x00-\x1f]{1,2000}"),
    ToolOption("url_env", pattern=r"[A-Za-z_]\w*"),
)
KEY = (
    ToolOption("api_key_env", pattern=r"[A-Za-z_]\w*"),
    ToolOption("header", pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"),
)


class WebReply(Struct, frozen=True):
    text: str
    is_json: bool


class WebTools:
    """One connection pool for the calls of a tool."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, tool: Tool, method: str, *, query: Mapping[str, str] | None = None, body: Row | None = None
    ) -> WebReply:
        """The body of a good answer. Raises ToolProblem."""
        import aiohttp

        url = address(tool)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = {"Accept": "application/json", **key_headers(tool)}
        data = None
        if body is not None:
            data = compact(body)
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                url,
                params=query,
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=_proxy(url),
            ) as response:
                text = await _read(response, 6 * tool.max_result + _SLACK)
                if not 200 <= response.status < 300:
                    raise ToolProblem(f"the server answered {response.status}", note=text[:_SHOWN])
                return WebReply(text, "json" in response.content_type)
        except aiohttp.ClientError as error:
            where, advice = whereabouts(tool)
            raise ToolProblem(
                f"the server at {where} cannot be reached: {type(error).__name__}", note=f"{error}; {advice}"
            ) from None
        except OSError as error:
            where, advice = whereabouts(tool)
            raise ToolProblem(
                f"the server at {where} cannot be reached: {error.strerror or error}", note=advice
            ) from None

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(response: aiohttp.ClientResponse, most: int) -> str:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > most:
            raise ToolProblem(f"the server's answer has more than {most:,} bytes")
    return data.decode(errors="replace")


def address(tool: Tool) -> str:
    """Where the tool's server is. Raises ToolProblem where the environment does not say."""
    url = from_environment(tool, "url")
    if urlsplit(url).scheme not in ("http", "https"):
        raise ToolProblem(f"the address of `{tool.name}` is no http address")
    return url


def whereabouts(tool: Tool) -> tuple[str, str]:
    """What the place of a server that cannot be reached is called, and what to look at."""
    # Only what `allow` names: the rest of an address may hold a key, and a variable's may be secret as a whole.
    variable = text_option(tool, "url_env")
    where = f"the address in {variable}" if variable else _HOST.sub(r"\1\2", address(tool))
    return where, f"check the {'variable' if variable else '`url`'}, and that the server runs"


def address_faults(tool: Tool) -> Iterator[str]:
    if len({"url", "url_env"} & tool.options.keys()) != 1:
        yield "a server has one address"


def origin(tool: Tool) -> str:
    """Scheme, host and port of the tool's server, as they are allowed. Raises ConfigurationError."""
    try:
        parts = urlsplit(address(tool))
        port = parts.port
    except (ToolProblem, ValueError) as error:
        problem = error.message if isinstance(error, ToolProblem) else "its address cannot be read"
        raise ConfigurationError(f"the tool `{tool.name}`: {problem}") from None
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def key_headers(tool: Tool) -> dict[str, str]:
    """The header that has the tool's key, where it has one."""
    if not text_option(tool, "api_key_env"):
        return {}
    key = from_environment(tool, "api_key")
    if any(ord(letter) < 32 for letter in key):
        raise ToolProblem(f"the environment variable {text_option(tool, 'api_key_env')} holds no key")
    header = text_option(tool, "header")
    return {header: key} if header else {"Authorization": f"Bearer {key}"}


def as_json(text: str) -> JsonValue:
    """What a server's text says. Raises ToolProblem."""
    try:
        return cast("JsonValue", json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        raise ToolProblem("the server's answer is not JSON", note=text[:_SHOWN]) from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _proxy(url: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # it brings a whole client along

    parts = urlsplit(url)
    found = getproxies().get(parts.scheme)
    return None if not found or proxy_bypass(parts.netloc) else found
