"""Bounds how deep a tree may be, so that code may walk it by recursion.

Brackets are bounded while parsing, but `a + a + …` nests as well, to the left and without a bracket.
"""

from __future__ import annotations

from msgspec.structs import replace

from . import tree
from .lexemes import MAX_NESTING
from .tree import Declaration, Item, Node, Problem
from .walk import children


def without_deep_parts(declaration: Declaration) -> tuple[Declaration, list[Problem]]:
    """The declaration without the items, parameters or value that nest too deep; a problem for each.

    Linear: a node that has fewer characters than the limit cannot nest deeper than it.
    """
    if not _is_long(declaration):
        return declaration, []
    problems: list[Problem] = []
    parameters, returns, value = declaration.parameters, declaration.returns, declaration.value
    if parameters is not None and _any_deep(parameters, problems):
        parameters = None
    if returns is not None and _any_deep(returns if isinstance(returns, tuple) else (returns,), problems):
        returns = None
    if value is not None and _any_deep((value,), problems):
        value = None
    items = declaration.items
    if items is not None:
        items = _shallow(items, problems)
    if not problems:
        return declaration, problems
    return replace(declaration, parameters=parameters, returns=returns, value=value, items=items), problems


def _any_deep(nodes: tuple[Node, ...], problems: list[Problem]) -> bool:
    deep = [Problem(node.span, "too_deep") for node in nodes if _is_deep(node)]
    problems += deep
    return bool(deep)


def _shallow(items: tuple[Item, ...], problems: list[Problem]) -> tuple[Item, ...]:
    kept: list[Item] = []
    for item in items:
        if isinstance(item, tree.Section):
            kept.append(replace(item, items=_shallow(item.items, problems)) if _is_long(item) else item)
        elif not _any_deep((item,), problems):
            kept.append(item)
    return tuple(kept)


def _is_long(node: Node) -> bool:
    return node.span.end - node.span.start > MAX_NESTING


def _is_deep(node: Node) -> bool:
    level = [node]
    for _ in range(MAX_NESTING):
        level = [child for one in level if _is_long(one) for child in children(one)]
        if not level:
            return False
    return True
