"""Makes `table.json`, the parser that ships: `python -m dspec.grammar.table`.

Lark reads `dspec.lark`, computes the LALR(1) table with strict=True, so that a conflict stops the
build, and serialises its parser; `automaton` loads that in milliseconds. States are renumbered in
breadth-first order, so the file depends on nothing but the grammar and Lark. It is JSON: a parser
that unpickled its table would run whatever someone put into the file.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any, cast

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef
from lark.parsers.lalr_analysis import IntParseTable, Shift

from .automaton import TABLE_PATH, LexemeLexer, Row

GRAMMAR_PATH = Path(__file__).with_name("dspec.lark")

_DATA_LEVELS = 4
"""How deep the data is spread over lines: down to one state of the table to a line."""


def make_table(grammar: str) -> dict[str, Any]:
    """Lark's serialised parser for a grammar, `data` and `memo`; the lexer's class is left out.

    Raises lark.exceptions.GrammarError for a conflict.
    """
    lark: Any = Lark(
        grammar, parser="lalr", lexer=LexemeLexer, strict=True, keep_all_tokens=True, maybe_placeholders=True
    )
    # Lark has no public way to number its states; the test that rebuilds the file notices a change.
    parser = lark.parser.parser
    parser._parse_table = _renumbered(parser._parse_table)
    data, memo = lark.memo_serialize([TerminalDef, Rule])
    data["parser"]["lexer_conf"]["lexer_type"] = data["options"]["lexer"] = None
    return {"data": data, "memo": memo}


def _renumbered(table: Any) -> IntParseTable:
    """The same table, with states and their symbols in an order that does not depend on hashes."""
    numbers = {state: number for number, state in enumerate(table.start_states.values())}
    queue = deque(numbers)
    rows: dict[int, Row] = table.states
    states: dict[int, Row] = {}
    while queue:
        state = queue.popleft()
        row: Row = {}
        for symbol, (action, target) in sorted(rows[state].items()):
            if action is Shift:
                if target not in numbers:
                    numbers[target] = len(numbers)
                    queue.append(target)
                row[symbol] = action, numbers[target]
            else:
                row[symbol] = action, target
        states[numbers[state]] = row
    starts = {start: numbers[state] for start, state in table.start_states.items()}
    ends = {start: numbers[state] for start, state in table.end_states.items()}
    return IntParseTable(states, starts, ends)


def table_text() -> str:
    """What `table.json` must hold, spread over lines so that a diff can be read."""
    table = make_table(GRAMMAR_PATH.read_text(encoding="utf-8"))
    data, memo = _spread(table["data"], _DATA_LEVELS), _spread(table["memo"], 1)
    return f'{{"data": {data},\n"memo": {memo}}}\n'


def _spread(value: Any, levels: int) -> str:
    """JSON with every entry of a dict on its own line, in the outermost levels."""
    if not levels or not isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    entries = cast("dict[str | int, Any]", value).items()
    lines = (f"{json.dumps(str(key))}: {_spread(entry, levels - 1)}" for key, entry in entries)
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    TABLE_PATH.write_text(table_text(), encoding="utf-8")
