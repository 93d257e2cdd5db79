"""Makes `table.json`, the LALR(1) table that ships: `python -m dspec.grammar.table`.

Lark reads `dspec.lark` and computes the table with strict=True, so a conflict stops the build. That
takes a moment and needs Lark; reading the finished table takes milliseconds and needs neither, which
is why the rest of the room never imports this module. States are renumbered in breadth-first order,
so the file depends on nothing but the grammar. The table is JSON: a parser that unpickled its table
would run whatever someone put into the file.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from lark import Lark
from lark.lexer import Lexer, PatternStr, Token

from .automaton import TABLE_PATH

GRAMMAR_PATH = Path(__file__).with_name("dspec.lark")

Table = dict[str, Any]


class _NoLexer(Lexer):
    """Stands in for a lexer: `tokens` does that work, Lark only computes the table."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: object, parser_state: object) -> Iterator[Token]:
        return iter(())


def make_table(grammar: str) -> Table:
    """The table for a grammar, as JSON-ready data; `automaton.Automaton` documents its parts.

    Raises lark.exceptions.GrammarError for a conflict.
    """
    lark = Lark(
        grammar, parser="lalr", lexer=_NoLexer, strict=True, keep_all_tokens=True, maybe_placeholders=True
    )
    # Lark has no public view of its table; the test that rebuilds it notices when this moves.
    parsing = cast("Any", lark.parser).parser._parse_table
    states: dict[int, dict[str, tuple[Any, Any]]] = parsing.states
    start, end = parsing.start_states["start"], parsing.end_states["start"]

    rules = {rule: number for number, rule in enumerate(cast("list[Any]", lark.rules))}
    numbers = _breadth_first(states, start)
    rows: list[dict[str, int]] = [{} for _ in numbers]
    for state, number in numbers.items():
        for symbol, (action, target) in sorted(states[state].items()):
            rows[number][symbol] = numbers[target] if action.name == "Shift" else -1 - rules[target]
    # Lark stops at its end state; a step over the end marker lets the driver treat it like any other.
    rows[numbers[end]]["$END"] = numbers[end]
    return {
        "literals": {
            terminal.pattern.value: terminal.name
            for terminal in lark.terminals
            if isinstance(terminal.pattern, PatternStr)
        },
        "productions": [_production(rule) for rule in rules],
        "states": rows,
    }


def _breadth_first(states: dict[int, dict[str, tuple[Any, Any]]], start: int) -> dict[int, int]:
    numbers = {start: 0}
    queue = deque([start])
    while queue:
        for _, (action, target) in sorted(states[queue.popleft()].items()):
            if action.name == "Shift" and target not in numbers:
                numbers[target] = len(numbers)
                queue.append(target)
    return numbers


def _production(rule: Any) -> list[Any]:
    """`[origin, length, alias, slots]`; `slots` is None when every child is there.

    Otherwise it has one entry per symbol of the longest form: the child's index, or None for a part
    in brackets that was left out. A production that only passes its child on has the alias "".
    """
    alias = rule.alias or ("" if rule.options.expand1 and len(rule.expansion) == 1 else str(rule.origin.name))
    slots: list[int | None] | None = None
    if rule.options.empty_indices:
        indices = iter(range(len(rule.expansion)))
        slots = [None if missing else next(indices) for missing in rule.options.empty_indices]
    return [str(rule.origin.name), len(rule.expansion), str(alias), slots]


def table_text() -> str:
    """What `table.json` must hold, one production or state to a line so that a diff can be read."""
    table = make_table(GRAMMAR_PATH.read_text(encoding="utf-8"))
    parts = [f' "literals": {json.dumps(table["literals"])}']
    for name in ("productions", "states"):
        lines = ",\n".join("  " + json.dumps(entry, separators=(",", ":")) for entry in table[name])
        parts.append(f' "{name}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    TABLE_PATH.write_text(table_text(), encoding="utf-8")
