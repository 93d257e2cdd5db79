"""bm25: a search by words through a column of a data file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import Ground, OpenTool, TookTooLong, ToolSource, text_option
from .indexed import FILE, Searched, opened_file
from .searching import asked, found

if TYPE_CHECKING:
    from ..index.bm25 import WordIndex


class WordSearch:
    """The rows of a file and the index of one of their columns."""

    def __init__(self, searched: Searched, index: WordIndex) -> None:
        self._searched = searched
        self._index = index

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        text, k = asked(tool, arguments)
        try:
            async with asyncio.timeout(tool.timeout):
                places = await asyncio.to_thread(self._index.search, text, k)
        except TimeoutError:
            raise TookTooLong(tool.timeout) from None
        return found(
            tool, [self._searched.rows[place] for place, _ in places], self._searched.column, use.records
        )

    async def aclose(self) -> None:
        return


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    return await asyncio.to_thread(_made, tool, ground)


def _made(tool: Tool, ground: Ground) -> WordSearch:
    from ..index.bm25 import WordIndex

    searched = opened_file(tool, ground)
    return WordSearch(searched, WordIndex.kept(searched.texts))


SOURCE = ToolSource(
    name="bm25",
    options=FILE,
    open=_open,
    called=lambda tool: f"a search through `{text_option(tool, 'file')}`",
    steady=True,
)
