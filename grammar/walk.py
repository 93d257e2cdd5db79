"""From a place of the text to the declaration and the node there; children of a node, whatever its class."""

from __future__ import annotations

import bisect
from functools import cache
from typing import cast

from .tree import Block, Node, SourceTree


def block_at(tree: SourceTree, offset: int) -> Block | None:
    """The declaration around an offset of the text; None before the first one."""
    at = bisect.bisect_right(tree.blocks, offset, key=lambda block: block.start) - 1
    return tree.blocks[at] if at >= 0 else None


def children(node: Node) -> list[Node]:
    """The nodes directly below, names included, in the order of the node's fields."""
    found: list[Node] = []
    for name in _fields(type(node)):
        value: object = getattr(node, name)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple):
            found += [one for one in cast("tuple[object, ...]", value) if isinstance(one, Node)]
    return found


@cache
def _fields(kind: type[Node]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name != "span")


def way_to(node: Node, offset: int) -> tuple[Node, ...]:
    """The nodes from `node` down to the innermost one whose text has the character at `offset`."""
    way = [node]
    while True:
        for below in children(way[-1]):
            start, end = below.span
            if start <= offset < end:
                way.append(below)
                break
        else:
            return tuple(way)
