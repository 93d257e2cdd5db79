"""A record of the check of one declaration: the kind of every expression, and the names that were looked for.

A check keeps a journal only if somebody will ask about a place in the text (`query`). The journal tells nodes
apart by identity, so it holds only for the tree that it was made with.
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
    """What a name may stand for: declarations of these kinds, and names of the declaration's own."""

    kinds: tuple[str, ...]
    names: Mapping[str, Symbol | None]


class Journal(Struct, Generic[Scope, Kind]):
    """By the `id` of a node: the kind of an expression, the scope it stands in, the type that a value should have,
    and what a name may stand for. The journal knows nothing of scopes and kinds; it only keeps them."""

    kinds: dict[int, Kind] = field(default_factory=dict[int, Kind])
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])
    wanted: dict[int, Type] = field(default_factory=dict[int, Type])
    sought: dict[int, Sought] = field(default_factory=dict[int, Sought])

    def expression(self, node: Node, scope: Scope, kind: Kind) -> None:
        self.scopes[id(node)], self.kinds[id(node)] = scope, kind

    def want(self, node: Node, scope: Scope, kind: Type) -> None:
        """Record that a value of this type must stand at `node`, which may be a literal that has no kind of its own."""
        self.scopes[id(node)], self.wanted[id(node)] = scope, kind

    def seek(self, node: Node, kinds: Iterable[str], names: Mapping[str, Symbol | None]) -> None:
        self.sought[id(node)] = Sought(tuple(kinds), names)
