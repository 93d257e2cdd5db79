# ruff: noqa: E402
"""Lark at work: the shipped parser, and a parse that `recovery` drives by hand.

Lark parses; this module only loads what `table` shipped, hands it our lexemes and builders, and
keeps to the names of Lark that it needs. The file is JSON and becomes plain data before Lark sees it:
nothing is ever unpickled. Importing this module imports Lark, which takes longer than a parse, so
`parser` does it only when there is something to parse.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast


def _import_lark() -> None:
    """Lark takes the package `regex` where another one has brought it, which costs as much as Lark itself and is of use to
    other grammars than ours. It is told that there is none, unless another thread might be importing it just then."""
    if "regex" in sys.modules or threading.active_count() > 1:
        return
    sys.modules["regex"] = cast("Any", None)
    try:
        import_module("lark")
    finally:
        del sys.modules["regex"]


_import_lark()

from lark import Lark
from lark.exceptions import LexError, UnexpectedToken
from lark.grammar import Rule
from lark.lexer import Lexer, TerminalDef, Token
from lark.parsers.lalr_analysis import Shift

from .build import BUILDERS
from .lexemes import Lexeme
from .tree import Declaration

TABLE_PATH = Path(__file__).with_name("table.json")
MAX_STATES = 1_000
"""States on the stack. It bounds what nests without brackets, such as `not not not …`."""

Row = dict[str, tuple[Any, Any]]
"""A state: symbol → Shift and the state to go to, or Reduce and the rule."""


class LexemeLexer(Lexer):
    """Passes on what `lexemes` has read; behind the last, Lark puts its own `$END`."""

    __future_interface__ = 2  # Lark's name for a `lex` that is told the parser's state

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Token]:
        """Raises LexError where the stack grows beyond `MAX_STATES`."""
        states: list[int] = parser_state.state_stack
        lexemes: Iterable[Token] = lexer_state.text
        for lexeme in lexemes:
            yield lexeme
            if len(states) > MAX_STATES:
                raise LexError


class _Parser(Protocol):
    """The part of `Lark` that is used here. Lark's own annotations are not strict, and say that it makes trees."""

    rules: list[Rule]
    terminals: list[TerminalDef]

    def parse(self, text: list[Lexeme]) -> Declaration: ...

    def parse_interactive(self) -> Any: ...


@cache
def shipped_parser() -> _Parser:
    """The parser of `dspec.lark`, with `build`'s functions called while it parses."""
    shipped = json.loads(TABLE_PATH.read_text(encoding="utf-8"))
    data = shipped["data"]
    table = data["parser"]["parser"]
    table["states"] = {int(state): _numbered(row) for state, row in table["states"].items()}
    table["tokens"], shipped["memo"] = _numbered(table["tokens"]), _numbered(shipped["memo"])
    data["parser"]["lexer_conf"]["lexer_type"] = data["options"]["lexer"] = LexemeLexer
    builders = {alias: _of_children(build) for alias, build in BUILDERS.items()}
    data["options"]["transformer"] = SimpleNamespace(**builders)
    return cast("Any", Lark).load(shipped)


def _numbered(entries: dict[str, Any]) -> dict[int, Any]:
    """JSON has no numbers for keys."""
    return {int(key): value for key, value in entries.items()}


def _of_children(build: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    def build_children(children: list[Any]) -> Any:
        return build(*children)

    return build_children


def parse_lexemes(lexemes: list[Lexeme]) -> Declaration | None:
    """The declaration if nothing in it is out of place: the common case, without looking ahead."""
    try:
        return shipped_parser().parse(lexemes[:-1])
    except (UnexpectedToken, LexError):
        return None


class Stack:
    """A parse under way that can be asked what fits, and be cut back.

    `states` and `values` are Lark's own lists; `values`, lexemes, nodes and lists of nodes, is one
    shorter.
    """

    __slots__ = ("_end", "_parser", "_rows", "states", "values")

    def __init__(self) -> None:
        self._parser = shipped_parser().parse_interactive()
        state = self._parser.parser_state
        self.states: list[int] = state.state_stack
        self.values: list[Any] = state.value_stack
        self._rows: dict[int, Row] = state.parse_conf.states
        self._end: int = state.parse_conf.end_state

    def feed(self, lexeme: Lexeme) -> None:
        """Reduces as far as the lexeme asks for, then takes it. Ask `accepts` first.

        After `$END` the declaration is the only value. Raises UnexpectedToken.
        """
        self._parser.feed_token(lexeme)

    def accepts(self, *terminals: str, depth: int | None = None) -> bool:
        """Whether the terminals could follow, one after the other. Builds and changes nothing.

        With `depth`, as if the stack had been cut back to that many states. Lark's own `accepts`
        copies both stacks for each terminal, and looks no further than one.
        """
        rows, states = self._rows, self.states
        below = (len(states) if depth is None else depth) - 1  # index of the topmost untouched state
        above: list[int] = []
        for terminal in terminals:
            while True:
                found = rows[above[-1] if above else states[below]].get(terminal)
                if found is None:
                    return False
                action, target = found
                if action is Shift:
                    above.append(target)
                    break
                length = len(target.expansion)
                drop = length - len(above)
                if drop >= 0:
                    above.clear()
                    below -= drop
                else:
                    del above[-length:]
                above.append(rows[above[-1] if above else states[below]][target.origin.name][1])
                if above[-1] == self._end:
                    return True  # Lark never shifts `$END`, which alone leads here
        return True

    def expected(self) -> list[str]:
        """Every terminal that could come next."""
        return [symbol for symbol in self._rows[self.states[-1]] if symbol.isupper() and self.accepts(symbol)]

    def cut(self, depth: int) -> None:
        """Forgets everything above `depth` states."""
        del self.states[depth:]
        del self.values[depth - 1 :]
