"""What the check of one declaration met on its way: the kind of every expression, and what it looked for.

Kept only when somebody asks about a place in a text (`query`); a check that nobody asks about keeps none.
Nodes are told apart by identity, so a journal is good for the tree it was made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct, field

from dspec.grammar.tree import Node
from dspec.runtime.schema.types import Type

from .symbols import Symbol

Scope = TypeVar("Scope")
Kind = TypeVar("Kind")


class Sought(Struct, frozen=True):
    """Where a name is looked for: declarations of these kinds, and names of the declaration's own."""

    kinds: tuple[str, ...]
    names: Mapping[str, Symbol | None]


class Journal(Struct, Generic[Scope, Kind]):
    """By node: what an expression is and the scope it stands in, the type that a value should have, and where
    a name was looked for. What scopes and kinds are is the business of those who write and read it."""

    kinds: dict[int, Kind] = field(default_factory=dict[int, Kind])
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])
    wanted: dict[int, Type] = field(default_factory=dict[int, Type])
    sought: dict[int, Sought] = field(default_factory=dict[int, Sought])

    def expression(self, node: Node, scope: Scope, kind: Kind) -> None:
        self.scopes[id(node)], self.kinds[id(node)] = scope, kind

    def want(self, node: Node, scope: Scope, kind: Type) -> None:
        """A value of this kind must stand there; literals are compared with it at once."""
        self.scopes[id(node)], self.wanted[id(node)] = scope, kind

    def seek(self, node: Node, kinds: Iterable[str], names: Mapping[str, Symbol | None]) -> None:
        self.sought[id(node)] = Sought(tuple(kinds), names)
