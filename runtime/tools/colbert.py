"""colbert: a search on a server that speaks ColBERTv2's protocol, `GET url?query=…&k=…`.

Its answer is `{"topk": [{"text": …, "score": …, "pid": …}, …]}`, the best first.
"""

from __future__ import annotations

import asyncio
from typing import cast

from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import Ground, OpenTool, TookTooLong, ToolOption, ToolProblem, ToolSource
from .searching import asked, found
from .web import ADDRESS, KEY, WebTools, address_faults, as_json, origin


class ColbertTool:
    """One server."""

    def __init__(self) -> None:
        self._web = WebTools()

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        text, k = asked(tool, arguments)
        try:
            async with asyncio.timeout(tool.timeout):
                reply = await self._web.ask(tool, "GET", query={"query": text, "k": str(k)})
        except TimeoutError:
            raise TookTooLong(tool.timeout) from None
        return found(tool, _passages(as_json(reply.text))[:k], "text", use.records)

    async def aclose(self) -> None:
        await self._web.aclose()


def _passages(answer: JsonValue) -> list[Row]:
    passages = answer.get("topk") if isinstance(answer, dict) else None
    if not isinstance(passages, list) or not all(isinstance(one, dict) for one in passages):
        problem = answer.get("message") if isinstance(answer, dict) else None
        raise ToolProblem("the server's answer has no list `topk`", note=str(problem or "")[:300])
    return cast("list[Row]", passages)


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    return ColbertTool()


SOURCE = ToolSource(
    name="colbert",
    options=(*ADDRESS, ToolOption("k", "integer"), *KEY),
    elsewhere=True,
    open=_open,
    reaches=lambda tool, _: origin(tool),
    faults=address_faults,
    called=lambda tool: f"a search on {origin(tool)}",
)
