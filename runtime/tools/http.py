"""http: one request to a server, with the arguments as JSON, and an answer that is checked by the declared type."""

from __future__ import annotations

import asyncio

from ..models.compact import compact
from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row, Scalar
from .base import Ground, OpenTool, TookTooLong, ToolOption, ToolSource, text_option
from .web import ADDRESS, KEY, WebTools, address_faults, as_json, origin

METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")


class HttpTool:
    """`GET` and `DELETE` have the arguments in the address, the others in the body."""

    def __init__(self) -> None:
        self._web = WebTools()

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        method = text_option(tool, "method") or METHODS[0]
        try:
            async with asyncio.timeout(tool.timeout):
                if method in ("GET", "DELETE"):
                    query = {name: _text(value) for name, value in arguments.items() if value is not None}
                    reply = await self._web.ask(tool, method, query=query)
                else:
                    reply = await self._web.ask(tool, method, body=arguments)
        except TimeoutError:
            raise TookTooLong(tool.timeout) from None
        if not reply.is_json and tool.output == Scalar(name="str"):
            return reply.text
        return as_json(reply.text)

    async def aclose(self) -> None:
        await self._web.aclose()


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else compact(value).decode()


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    return HttpTool()


SOURCE = ToolSource(
    name="http",
    options=(*ADDRESS, ToolOption("method", pattern="|".join(METHODS)), *KEY),
    elsewhere=True,
    open=_open,
    reaches=lambda tool, _: origin(tool),
    faults=address_faults,
    called=lambda tool: f"a request to {origin(tool)}",
)
