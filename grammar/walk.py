"""Children of a syntax node, whatever its class."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import cast

from .tree import Node


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below, names included, in the order of the node's fields."""
    for name in _fields(type(node)):
        value: object = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for element in cast("tuple[object, ...]", value):
                if isinstance(element, Node):
                    yield element


@cache
def _fields(kind: type[Node]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name != "span")


def way_to(node: Node, offset: int) -> tuple[Node, ...]:
    """The nodes from `node` down to the innermost one whose text has the character at `offset`."""
    way = [node]
    while below := next((one for one in children(way[-1]) if one.span.start <= offset < one.span.end), None):
        way.append(below)
    return tuple(way)
