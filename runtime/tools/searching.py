"""What the sources that search have in common: the text that is looked for, how many are wanted, and what is given.

A search takes one text, and `k` where it is declared. It gives the texts that it finds, or whole rows where the
declared type is a list of records or of anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..schema.program import Tool
from ..schema.types import JsonValue, ListOf, OptionalOf, Row, Scalar
from .base import ToolProblem, count_option

FOUND = 3
"""Rows that a search gives where nothing says how many."""
MOST_FOUND = 1_000


def asked(tool: Tool, arguments: Row, usual: int = FOUND) -> tuple[str, int]:
    """The text that is looked for and how many are wanted. Raises ToolProblem."""
    texts = [value for name, value in arguments.items() if name != "k" and isinstance(value, str)]
    wanted = arguments.get("k")
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        wanted = count_option(tool, "k", usual)
    if len(texts) != 1:
        raise ToolProblem("a search is for one text")
    if not 1 <= wanted <= MOST_FOUND:
        raise ToolProblem(f"`k` must lie in 1..{MOST_FOUND:,}")
    return texts[0], wanted


def wants_texts(tool: Tool) -> bool:
    kind = tool.output
    while isinstance(kind, OptionalOf):
        kind = kind.item
    return isinstance(kind, ListOf) and kind.item == Scalar(name="str")


def found(tool: Tool, rows: Sequence[Row], text: str) -> JsonValue:
    """Rows as the tool gives them; `text` is the column that was searched. Raises ToolProblem."""
    if not wants_texts(tool):
        return list(rows)
    texts = [row.get(text) for row in rows]
    if not all(isinstance(one, str) for one in texts):
        raise ToolProblem(f"a row's `{text}` is no text")
    return list(texts)
