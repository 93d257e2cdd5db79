"""The LALR(1) table at run time, and the one step that drives it.

`table` computes the table with Lark when the grammar changes; this module reads the shipped JSON.
Owning the two stacks is what makes tolerant parsing plain: `recovery` looks ahead without building
nodes, cuts the stacks back to the last good item and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .build import BUILDERS
from .lexemes import Lexeme

TABLE_PATH = Path(__file__).with_name("table.json")
Builder = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Production:
    """`origin` is built from `length` symbols; `build` is None when the one child is passed on."""

    origin: str
    length: int
    build: Builder | None
    slots: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Automaton:
    """States as rows: symbol → state to go to, or `-1 - n` for a reduction by production n."""

    states: list[dict[str, int]]
    productions: list[Production]


class Stack:
    """A parse under way: the automaton's states and the values built so far, in step.

    `values` is one shorter than `states`. Values are lexemes, nodes and lists of nodes.
    """

    __slots__ = ("automaton", "states", "values")

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.states: list[int] = [0]
        self.values: list[Any] = []

    def feed(self, lexeme: Lexeme) -> bool:
        """Reduces as far as the lexeme asks for, then takes it; False when it cannot stand here.

        After False some reductions may have been made: ask `accepts` first where that matters.
        """
        rows, productions = self.automaton.states, self.automaton.productions
        states, values = self.states, self.values
        terminal = lexeme.terminal
        while True:
            action = rows[states[-1]].get(terminal)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                values.append(lexeme)
                return True
            production = productions[-1 - action]
            length = production.length
            build = production.build
            if build is None:
                states.pop()
            else:
                children = values[-length:]
                del values[-length:], states[-length:]
                slots = production.slots
                if slots is None:
                    values.append(build(*children))
                else:
                    values.append(build(*[None if i is None else children[i] for i in slots]))
            states.append(rows[states[-1]][production.origin])

    def accepts(self, *terminals: str, depth: int | None = None) -> bool:
        """Whether the terminals could follow, one after the other. Builds and changes nothing.

        With `depth`, as if the stack had been cut back to that many states.
        """
        rows, productions = self.automaton.states, self.automaton.productions
        below = (len(self.states) if depth is None else depth) - 1  # index of the topmost untouched state
        above: list[int] = []
        for terminal in terminals:
            while True:
                action = rows[above[-1] if above else self.states[below]].get(terminal)
                if action is None:
                    return False
                if action >= 0:
                    above.append(action)
                    break
                production = productions[-1 - action]
                drop = production.length - len(above)
                if drop >= 0:
                    above.clear()
                    below -= drop
                else:
                    del above[-production.length :]
                above.append(rows[above[-1] if above else self.states[below]][production.origin])
        return True

    def expected(self) -> list[str]:
        """Every terminal that could come next."""
        return [terminal for terminal in self.automaton.states[self.states[-1]] if self._is_next(terminal)]

    def _is_next(self, symbol: str) -> bool:
        return (symbol.isupper() or symbol == "$END") and self.accepts(symbol)

    def cut(self, depth: int) -> None:
        """Forgets everything above `depth` states."""
        del self.states[depth:]
        del self.values[depth - 1 :]


@cache
def shipped_automaton() -> Automaton:
    """The automaton of `dspec.lark`, with `build`'s function for every production."""
    table: dict[str, Any] = json.loads(TABLE_PATH.read_text(encoding="utf-8"))
    return Automaton(
        states=table["states"],
        productions=[
            Production(origin, length, BUILDERS[alias] if alias else None, slots and tuple(slots))
            for origin, length, alias, slots in table["productions"]
        ],
    )
