"""What the sources that search have in common: the text that is looked for, how many are wanted, and what is given.

A search takes one text, and `k` where it is declared. It gives the texts that it finds, or whole rows where the
declared type is a list of records or of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..schema.program import Record, Tool
from ..schema.types import STR, JsonValue, ListOf, OptionalOf, RecordRef, Row
from ..values.values import from_text
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


def found(tool: Tool, rows: Sequence[Row], text: str, records: Mapping[str, Record]) -> JsonValue:
    """Rows as the tool gives them; `text` is the column that was searched. Raises ToolProblem."""
    kind = tool.output
    while isinstance(kind, OptionalOf):
        kind = kind.item
    item = kind.item if isinstance(kind, ListOf) else None
    if item == STR:
        texts = [row.get(text) for row in rows]
        if not all(isinstance(one, str) for one in texts):
            raise ToolProblem(f"a row's `{text}` is no text")
        return list(texts)
    if isinstance(item, RecordRef) and (record := records.get(item.name)) is not None:
        return [_of_record(row, record, records) for row in rows]
    return list(rows)


def _of_record(row: Row, record: Record, records: Mapping[str, Record]) -> Row:
    """The record's fields among a row's columns. A csv file's cells are read as the fields' types."""
    out: Row = {}
    for field in record.fields:
        value = row.get(field.name)
        if value is None:
            continue
        if isinstance(value, str) and field.type != STR:
            try:
                value = from_text(value, field.type, records)
            except ValueError as problem:
                raise ToolProblem(f"a row's `{field.name}`: {problem}") from None
        out[field.name] = value
    return out
