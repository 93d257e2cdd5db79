"""What the check of one declaration met on its way: the kind of every expression, and what it looked for.

Kept only when somebody asks about a place in a text (`query`); a check that nobody asks about keeps none.
Nodes are told apart by identity, so a journal is good for the tree it was made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct, field

from dspec.grammar.tree import Node
from dspec.runtime.schema.types import Type

from .symbols import Symbol
from .types.kinds import Kind


class Seen(Protocol):
    """A name that an expression can read."""

    @property
    def kind(self) -> Kind: ...

    @property
    def symbol(self) -> Symbol | None: ...

    @property
    def sure(self) -> bool: ...


class Surroundings(Protocol):
    """Where an expression stands: the scope that it was checked in."""

    @property
    def names(self) -> Mapping[str, Seen]: ...

    @property
    def calls(self) -> object | None: ...

    @property
    def judges(self) -> object | None: ...

    @property
    def sheltered(self) -> str: ...


class Sought(Struct, frozen=True):
    """Where a name is looked for: declarations of these kinds, and names of the declaration's own."""

    kinds: tuple[str, ...]
    names: Mapping[str, Symbol | None]


class Journal(Struct):
    kinds: dict[int, Kind] = field(default_factory=dict[int, Kind])
    scopes: dict[int, Surroundings] = field(default_factory=dict[int, Surroundings])
    wanted: dict[int, Type] = field(default_factory=dict[int, Type])
    sought: dict[int, Sought] = field(default_factory=dict[int, Sought])

    def expression(self, node: Node, scope: Surroundings, kind: Kind) -> None:
        self.scopes[id(node)], self.kinds[id(node)] = scope, kind

    def want(self, node: Node, scope: Surroundings, kind: Type) -> None:
        """A value of this kind must stand there; literals are compared with it at once."""
        self.scopes[id(node)], self.wanted[id(node)] = scope, kind

    def seek(self, node: Node, kinds: Iterable[str], names: Mapping[str, Symbol | None]) -> None:
        self.sought[id(node)] = Sought(tuple(kinds), names)
