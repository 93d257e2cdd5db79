"""The graph of a program as a hierarchy of calls: what a declaration runs, and what runs it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.project.source import Location
from dspec.grammar.walk import block_at

from .names import Spot, named_at, spot

RUN = ("module", "program", "extern", "metric", "optimize", "eval", "test")
"""Kinds of declarations that run others, or are run."""


class Linked(Struct, frozen=True):
    """A declaration, and the places where it is named, or where it names what was asked about."""

    symbol: Symbol
    places: tuple[Location, ...]


def callable_at(analysis: Analysis, offset: int) -> Symbol | None:
    """The declaration that the name at an offset stands for; without a name there, the one around it."""
    found = named_at(analysis, offset)
    if found is not None and found[1].kind in RUN:
        return found[1]
    block = block_at(analysis.tree, offset)
    name = block.declaration.name if block and block.declaration else None
    symbol = analysis.symbols.scope.symbols.get(name.text) if name else None
    return symbol if symbol is not None and symbol.block is block and symbol.kind in RUN else None


def outgoing(analysis: Analysis, symbol: Symbol) -> list[Linked]:
    """What a declaration of this analysis names to run."""
    found: dict[Spot, tuple[Symbol, list[Location]]] = {}
    for use in analysis.symbols.uses:
        if (
            use.symbol.kind in RUN
            and _within(use.location, symbol)
            and spot(use.symbol.location) != spot(symbol.location)
        ):
            found.setdefault(spot(use.symbol.location), (use.symbol, []))[1].append(use.location)
    return _linked(found)


def incoming(analyses: Iterable[Analysis], target: Location) -> list[Linked]:
    """The declarations, in any of the analyses, that name the one declared at `target`."""
    found: dict[Spot, tuple[Symbol, list[Location]]] = {}
    for analysis in analyses:
        owners = [one for one in analysis.symbols.declared if one.kind in RUN]
        for use in analysis.symbols.uses:
            if spot(use.symbol.location) != spot(target):
                continue
            owner = next((one for one in owners if _within(use.location, one)), None)
            if owner is not None:
                found.setdefault(spot(owner.location), (owner, []))[1].append(use.location)
    return _linked(found)


def _within(place: Location, symbol: Symbol) -> bool:
    block = symbol.block
    return (
        place.source.path == symbol.location.source.path
        and block.start <= place.start < block.start + len(block.text)
        and symbol.location.start != place.start
    )


def _linked(found: dict[Spot, tuple[Symbol, list[Location]]]) -> list[Linked]:
    return [
        Linked(symbol, tuple({spot(one): one for one in sorted(places, key=spot)}.values()))
        for _, (symbol, places) in sorted(found.items(), key=lambda one: one[0])
    ]
