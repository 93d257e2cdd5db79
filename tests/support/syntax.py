"""Syntax trees for tests: without spans for comparing, as one line for reading, flat for walking."""

from __future__ import annotations

from collections.abc import Iterator

from dspec.grammar.tree import Name, Node
from dspec.grammar.walk import children


def without_spans(value: object) -> object:
    """Nested tuples that are equal for trees that differ in their spans only."""
    if isinstance(value, Node):
        own = (without_spans(getattr(value, name)) for name in value.__struct_fields__ if name != "span")
        return (type(value).__name__, *own)
    if isinstance(value, tuple):
        return tuple(map(without_spans, value))
    return (type(value).__name__, value)


def outline(value: object) -> str:
    """`Binary(+ Reference(a) Literal(1))`: the parts that are there, in order."""
    if isinstance(value, Name):
        return value.text
    if isinstance(value, Node):
        parts = [(name, getattr(value, name)) for name in value.__struct_fields__ if name != "span"]
        shown = [f"{name}:{outline(part)}" for name, part in parts if _is_told(part)]
        return f"{type(value).__name__}({' '.join(shown)})"
    if isinstance(value, tuple):
        return "[" + " ".join(map(outline, value)) + "]"
    return repr(value)


def _is_told(part: object) -> bool:
    return part is not None


def nodes(node: Node) -> Iterator[Node]:
    """The node and all below it, without recursion."""
    left = [node]
    while left:
        one = left.pop()
        yield one
        left.extend(children(one))
