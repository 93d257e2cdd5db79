"""Inlay hints: what the text does not say and is known without paying: types of lets, rows of parts, calls of steps."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.diagnostics.wording import plural
from dspec.grammar.tree import Section, Setting, Step

from .facts import DataFacts
from .symbol_docs import spell_cost

LONGEST = 40
"""Characters of a type that is shown."""


class Hint(Struct, frozen=True):
    """A few words at an offset: a type behind a name, or a number behind what it is about."""

    offset: int
    text: str
    is_type: bool = False
    tooltip: str = ""


def hints(analysis: Analysis, facts: DataFacts, start: int, end: int) -> list[Hint]:
    found = [*_types(analysis), *_numbers(analysis, facts)]
    return sorted((one for one in found if start <= one.offset <= end), key=lambda one: one.offset)


def _types(analysis: Analysis) -> Iterator[Hint]:
    for symbol in analysis.symbols.declared:
        if symbol.kind not in ("let", "variable") or symbol.location.source is not analysis.source:
            continue
        if symbol.detail in ("", "any"):
            continue
        text = symbol.detail if len(symbol.detail) <= LONGEST else f"{symbol.detail[: LONGEST - 1]}…"
        tooltip = symbol.detail if text != symbol.detail else ""
        yield Hint(symbol.location.end, f": {text}", is_type=True, tooltip=tooltip)


def _numbers(analysis: Analysis, facts: DataFacts) -> Iterator[Hint]:
    for symbol in analysis.symbols.scope.symbols.values():
        if not facts.tells_of(symbol):
            continue
        if symbol.kind == "dataset" and symbol.key in facts.rows:
            yield Hint(symbol.location.end, plural(facts.rows[symbol.key], "row"))
            yield from _parts(symbol, facts)
        elif symbol.kind == "optimize":
            if symbol.key in facts.totals:
                yield Hint(symbol.location.end, spell_cost(facts.totals[symbol.key]), tooltip="of a compile")
            yield from _steps(symbol, facts)


def _parts(symbol: Symbol, facts: DataFacts) -> Iterator[Hint]:
    sizes = facts.parts.get(symbol.key, {})
    for section in symbol.declaration.items or ():
        for item in section.items if isinstance(section, Section) and section.name.text == "split" else ():
            if isinstance(item, Setting) and item.name.text in sizes:
                yield Hint(symbol.block.start + item.span.end, plural(sizes[item.name.text], "row"))


def _steps(symbol: Symbol, facts: DataFacts) -> Iterator[Hint]:
    costs = facts.steps.get(symbol.key, {})
    steps = [item for item in symbol.declaration.items or () if isinstance(item, Step)]
    for number, step in enumerate(steps):
        cost = costs.get(step.name.text if step.name else f"step{number + 1}")
        if cost is not None:
            yield Hint(symbol.block.start + step.span.end, spell_cost(cost))
