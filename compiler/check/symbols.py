"""Names: what a file declares, and where each use of a name points.

A symbol is made once per declaration, field, column, `let`, step or split part. The checks record a
`Use` whenever they resolve a name, so that the editor's definition, references and rename need no
second resolver. Nothing here reports anything.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterator

from msgspec import Struct, field

from dspec.grammar.tree import Block, Declaration

from ..project.source import Location, Source
from ..tables.block_specs import DeclarationKind, SymbolKind


class Symbol(Struct, frozen=True, eq=False):
    """One named thing. `location` is its name where it is declared; identity is the object itself.

    `key` is its name as the root file would write it: `judge`, or `lms.judge` through an import.
    `block` and `declaration` are the declaration it is or stands in.
    """

    kind: SymbolKind
    name: str
    key: str
    location: Location
    declaration: Declaration
    block: Block
    doc: str = ""
    detail: str = ""
    """Its type or shape in a few characters, for hover and completion."""


class Use(Struct, frozen=True):
    """A place where `symbol` is named (its declaration not included)."""

    location: Location
    symbol: Symbol


class FileScope(Struct, frozen=True, eq=False):
    """The names of one file. `imports` maps an alias to the file behind it, None when unreadable."""

    source: Source
    prefix: str
    """What stands before the file's names in keys: empty for the root file, else `alias.`."""
    symbols: dict[str, Symbol]
    imports: dict[str, FileScope | None]
    unreadable: set[str] = field(default_factory=set[str])
    """Names of declarations that could not be read: nothing is said about their uses."""
    nameless: set[DeclarationKind] = field(default_factory=set["DeclarationKind"])
    """Kinds of declarations that lack their name: any name that is not declared may be theirs."""


@dataclasses.dataclass(frozen=True)
class SymbolTable:
    """Everything named in a project, seen from its root file.

    `declared` holds every symbol in the order of checking, those inside declarations included.
    """

    scope: FileScope
    declared: tuple[Symbol, ...] = ()
    uses: tuple[Use, ...] = ()
    _index: dict[int, list[tuple[int, int, Symbol]]] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        index: dict[int, list[tuple[int, int, int, Symbol]]] = {}
        sources: dict[int, Source] = {}
        places = [(symbol.location, symbol) for symbol in self.declared]
        places += [(use.location, use.symbol) for use in self.uses]
        for number, (location, symbol) in enumerate(places):
            sources[id(location.source)] = location.source
            index.setdefault(id(location.source), []).append((location.start, location.end, number, symbol))
        object.__setattr__(
            self,
            "_index",
            {key: [(s, e, symbol) for s, e, _, symbol in sorted(found)] for key, found in index.items()},
        )

    def at(self, source: Source, offset: int) -> Symbol | None:
        """The symbol named at `offset`, whether declared or used there; the end of a word counts."""
        return next((symbol for _, symbol in self.named(source, offset)), None)

    def named(self, source: Source, offset: int) -> Iterator[tuple[Location, Symbol]]:
        """The names around `offset` and what they stand for, the innermost first."""
        found = self._index.get(id(source), [])
        position = bisect.bisect_right(found, offset, key=lambda entry: entry[0]) - 1
        while position >= 0 and found[position][0] >= offset - 256:
            start, end, symbol = found[position]
            if start <= offset <= end:
                yield Location(source, start, end), symbol
            position -= 1

    def uses_of(self, symbol: Symbol) -> tuple[Location, ...]:
        return tuple(use.location for use in self.uses if use.symbol is symbol)
