"""Searches through a data file: its rows, the texts of the column that is searched, and an index that ranks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from heapq import nlargest

from msgspec import Struct

from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import Ground, TookTooLong, ToolOption, ToolProblem, ToolSize, count_option, text_option
from .files import inside, rows_of
from .searching import FOUND, MOST_FOUND, asked, found

COLUMN = "text"
"""The column that is searched where none is named."""

FILE = (
    ToolOption("file", required=True),
    ToolOption("text"),
    ToolOption("k", "integer"),
    ToolOption("sha256", required=True, pattern="[0-9a-f]{64}"),
)
"""Options of a search through a data file."""


class Searched(Struct, frozen=True):
    """The rows of a data file, and the texts of the column that is searched."""

    rows: list[Row]
    column: str
    texts: list[str]


Ranking = Callable[[str, int, ToolUse], Awaitable[list[tuple[int, float]]]]
"""The places of at most so many rows for a text, the best first. Raises ValueError for a text that cannot be compared."""


class FileSearch:
    """The rows of a file and what ranks them."""

    def __init__(self, searched: Searched, ranking: Ranking) -> None:
        self._searched = searched
        self._ranking = ranking

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        text, k = asked(tool, arguments)
        try:
            async with asyncio.timeout(tool.timeout):
                places = await self._ranking(text, k, use)
        except TimeoutError:
            raise TookTooLong(tool.timeout) from None
        except ValueError as error:
            raise ToolProblem(f"the text cannot be compared: {error}") from None
        rows = [self._searched.rows[place] for place, _ in places]
        return found(tool, rows, self._searched.column, use.records)

    async def aclose(self) -> None:
        return


_QUICKLY_READ = 64 * 1024 * 1024
"""Bytes of a file that is worth reading to say how large its rows are."""


def largest_found(tool: Tool, ground: Ground) -> ToolSize | None:
    """As large as the largest rows; None where the file is not there, or too large to be looked at."""
    try:
        path = inside(text_option(tool, "file"), ground.root)
        if path.stat().st_size > _QUICKLY_READ:
            return None
        searched = opened_file(tool, ground)
    except (ToolProblem, OSError):
        return None
    sizes = [len(json.dumps(row, ensure_ascii=False).encode(errors="replace")) + 2 for row in searched.rows]
    asked_for = any(field.name == "k" for field in tool.inputs)
    most = MOST_FOUND if asked_for else count_option(tool, "k", FOUND)
    read = sum(len(text.encode(errors="replace")) for text in searched.texts) if tool.lm else 0
    return ToolSize(sum(nlargest(most, sizes)), read)


def opened_file(tool: Tool, ground: Ground) -> Searched:
    """The tool's file, which must be the one that it was made with. Raises ToolProblem."""
    from ..index.limits import MAX_ROWS

    rows = rows_of(inside(text_option(tool, "file"), ground.root), text_option(tool, "sha256"))
    if len(rows) > MAX_ROWS:
        raise ToolProblem(f"its file has {len(rows):,} rows, and {MAX_ROWS:,} are the most")
    column = text_option(tool, "text") or COLUMN
    texts = [row.get(column) for row in rows]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise ToolProblem(f"row {number} of its file has no text `{column}`")
    return Searched(rows, column, [text for text in texts if isinstance(text, str)])
