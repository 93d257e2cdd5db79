"""Reads the data file that a search goes through: its rows, and the texts of the column that is searched."""

from __future__ import annotations

from msgspec import Struct

from ..schema.program import Tool
from ..schema.types import Row
from .base import Ground, ToolOption, ToolProblem, text_option
from .files import inside, rows_of

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
