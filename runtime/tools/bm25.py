"""bm25: a search by words through a column of a data file."""

from __future__ import annotations

import asyncio

from ..models.protocol import ToolUse
from ..schema.program import Tool
from .base import Ground, OpenTool, ToolSource, text_option
from .indexed import FILE, FileSearch, largest_found, opened_file


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    return await asyncio.to_thread(_made, tool, ground)


def _made(tool: Tool, ground: Ground) -> FileSearch:
    from ..index.bm25 import WordIndex

    searched = opened_file(tool, ground)
    index = WordIndex.kept(searched.texts)
    return FileSearch(searched, lambda text, k, use: asyncio.to_thread(index.search, text, k))


SOURCE = ToolSource(
    name="bm25",
    options=FILE,
    open=_open,
    called=lambda tool: f"a search through `{text_option(tool, 'file')}`",
    steady=True,
    size=largest_found,
)
