"""Names: what a file declares, and where each use of a name points.

A symbol is made once per declaration, field, column, `let`, step or split part. The checks record a
`Use` whenever they resolve a name, so that the editor's definition, references and rename need no
second resolver. Nothing here reports anything.

What a check looks up in a table of names is noted (`Reads`): that check is made again when the table says something
else there, and only then.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence, ValuesView
from itertools import count
from typing import Protocol

from msgspec import Struct, field

from dspec.grammar.tree import Block, Declaration

from ..project.source import Location, Source
from ..tables.block_specs import DeclarationKind, SymbolKind


class Symbol(Struct, frozen=True, eq=False):
    """One named thing. `location` is its name where it is declared; identity is the object itself.

    `key` is its name as the root file would write it: `judge`, or `lms.judge` through an import.
    `block` and `declaration` are the declaration it is or stands in, and `scope` is its file's.
    """

    kind: SymbolKind
    name: str
    key: str
    location: Location
    declaration: Declaration
    block: Block
    scope: FileScope
    doc: str = ""
    detail: str = ""
    """Its type or shape in a few characters, for hover and completion."""


class Use(Struct, frozen=True):
    """A place where `symbol` is named (its declaration not included)."""

    location: Location
    symbol: Symbol


Read = tuple[int, str, str]
"""Something that a check looked up: the number of a table, and the name; or what was asked of the whole table."""

_NUMBERS = count()
_NAMES_A_STEP = 100
"""How many names of a table are looked through in the time of a step."""


class Reads:
    """What the check at work has looked up so far; None while nobody wants to know. `steps` counts what all checks of a
    round did."""

    __slots__ = ("noted", "steps")

    def __init__(self) -> None:
        self.noted: set[Read] | None = None
        self.steps = 0


class NameTable(Mapping[str, Symbol]):
    """Declarations by name, in the order of the text. A look-up is noted, whether it finds something or not."""

    __slots__ = ("_found", "_keys", "_reads", "number")

    def __init__(self, reads: Reads | None = None, found: Mapping[str, Symbol] | None = None) -> None:
        self.number = next(_NUMBERS)
        self._found: dict[str, Symbol] = dict(found or {})
        self._reads = reads or Reads()
        self._keys: dict[str, Read] = {}
        """What is noted of a name, made once: many checks look up the same."""

    def get(self, key: str, default: Symbol | None = None) -> Symbol | None:  # type: ignore[override]
        self._reads.steps += 1
        if self._reads.noted is not None:
            read = self._keys.get(key)
            if read is None:
                read = self._keys[key] = (self.number, key, "")
            self._reads.noted.add(read)
        return self._found.get(key, default)

    def __getitem__(self, key: str) -> Symbol:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def called(self, kinds: Collection[str]) -> list[str]:
        """The names of all declarations of some kinds."""
        self._note("names")
        return [name for name, symbol in self._found.items() if symbol.kind in kinds]

    def of_kind(self, kind: SymbolKind) -> list[Symbol]:
        """All declarations of a kind."""
        self._note(kind)
        return [symbol for symbol in self._found.values() if symbol.kind == kind]

    def __len__(self) -> int:
        self._note("names")
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        self._note("names")
        return iter(self._found)

    def items(self) -> ItemsView[str, Symbol]:
        self._note("all")
        return self._found.items()

    def values(self) -> ValuesView[Symbol]:
        self._note("all")
        return self._found.values()

    def copy(self) -> NameTable:
        """The same names in a table of its own, whose reads nobody notes."""
        return NameTable(None, self._found)

    def __setitem__(self, name: str, symbol: Symbol) -> None:
        self._found[name] = symbol

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def setdefault(self, name: str, symbol: Symbol) -> None:
        self._found.setdefault(name, symbol)

    def become(self, found: Mapping[str, Symbol]) -> set[Read]:
        """Have these names from now on. What was looked up and is another one now, of any name and of the table."""
        old, self._found = self._found, dict(found)
        number = self.number
        changed: set[Read] = {
            (number, name, "") for name in {**old, **found} if old.get(name) is not found.get(name)
        }
        self._keys.clear()
        if changed or list(old) != list(found):
            changed.add((number, "", "all"))
            if [(name, one.kind) for name, one in old.items()] != [
                (name, one.kind) for name, one in found.items()
            ]:
                changed.add((number, "", "names"))
            for kind in {one.kind for one in (*old.values(), *found.values())}:
                if [one for one in old.values() if one.kind == kind] != [
                    one for one in found.values() if one.kind == kind
                ]:
                    changed.add((number, "", kind))
        return changed

    def put(self, symbol: Symbol, key: str = "") -> set[Read]:
        """Have this symbol in the place of the one of its kind under that key, or its name. What was looked up and is
        another one now."""
        key = key or symbol.name
        self._found[key] = symbol
        return {(self.number, key, ""), (self.number, "", symbol.kind), (self.number, "", "all")}

    def has(self, symbol: Symbol) -> bool:
        """Whether a symbol is found by its name. Nobody notes that."""
        return self._found.get(symbol.name) is symbol

    def _note(self, what: str) -> None:
        self._reads.steps += 1 + len(self._found) // _NAMES_A_STEP
        if self._reads.noted is not None:
            self._reads.noted.add((self.number, "", what))


class FileScope(Struct, frozen=True, eq=False):
    """The names of one file. Whatever a check asks of it is noted."""

    source: Source
    prefix: str
    """What stands before the file's names in keys: empty for the root file, else `alias.`."""
    symbols: NameTable
    reads: Reads = field(default_factory=Reads)
    aliases: dict[str, FileScope | None] = field(default_factory=dict[str, "FileScope | None"])
    gaps: Gaps = field(default_factory=lambda: Gaps())

    @property
    def imports(self) -> Mapping[str, FileScope | None]:
        """The file behind each alias, None where it is unreadable."""
        self._note("imports")
        return self.aliases

    @property
    def unreadable(self) -> frozenset[str]:
        """NameTable of declarations that could not be read: nothing is said about their uses."""
        self._note("gaps")
        return self.gaps.unreadable

    @property
    def nameless(self) -> frozenset[DeclarationKind]:
        """Kinds of declarations that lack their name: any name that is not declared may be theirs."""
        self._note("gaps")
        return self.gaps.nameless

    def _note(self, what: str) -> None:
        if self.reads.noted is not None:
            self.reads.noted.add((self.symbols.number, "", what))


class Gaps(Struct):
    """What a file may declare beside the names that could be read."""

    unreadable: frozenset[str] = frozenset()
    nameless: frozenset[DeclarationKind] = frozenset()


class Named(Protocol):
    """Whoever knows all that is declared and used."""

    @property
    def declared(self) -> Sequence[Symbol]: ...
    @property
    def uses(self) -> Sequence[Use]: ...


class SymbolTable:
    """Everything named in a project, seen from its root file. It is gathered when somebody asks."""

    def __init__(self, scope: FileScope, names: Named | None = None) -> None:
        self.scope = scope
        self._names = names
        self._declared: tuple[Symbol, ...] | None = None
        self._uses: tuple[Use, ...] | None = None
        self._index: dict[int, list[tuple[int, int, Symbol]]] | None = None

    @property
    def declared(self) -> tuple[Symbol, ...]:
        """Every symbol, those inside declarations included."""
        if self._declared is None:
            self._declared = tuple(self._names.declared) if self._names else ()
        return self._declared

    @property
    def uses(self) -> tuple[Use, ...]:
        if self._uses is None:
            self._uses = tuple(self._names.uses) if self._names else ()
        return self._uses

    def at(self, source: Source, offset: int) -> Symbol | None:
        """The symbol named at `offset`, whether declared or used there; the end of a word counts."""
        return next((symbol for _, symbol in self.named(source, offset)), None)

    def named(self, source: Source, offset: int) -> Iterator[tuple[Location, Symbol]]:
        """The names around `offset` and what they stand for, the innermost first."""
        if self._index is None:
            self._index = self._indexed()
        found = self._index.get(id(source), [])
        position = bisect.bisect_right(found, offset, key=lambda entry: entry[0]) - 1
        while position >= 0 and found[position][0] >= offset - 256:
            start, end, symbol = found[position]
            if start <= offset <= end:
                yield Location(source, start, end), symbol
            position -= 1

    def _indexed(self) -> dict[int, list[tuple[int, int, Symbol]]]:
        index: dict[int, list[tuple[int, int, int, Symbol]]] = {}
        places = [(symbol.location, symbol) for symbol in self.declared]
        places += [(use.location, use.symbol) for use in self.uses]
        for number, (location, symbol) in enumerate(places):
            index.setdefault(id(location.source), []).append((location.start, location.end, number, symbol))
        return {key: [(s, e, symbol) for s, e, _, symbol in sorted(found)] for key, found in index.items()}
