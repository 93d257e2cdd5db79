"""What a condition says of values that may be missing: `x != none` holds, so `x` is there; `len(xs) > 0`, so `xs[0]` is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dspec.grammar.tree import (
    Argument,
    Attribute,
    Binary,
    Call,
    Expr,
    Index,
    ListLiteral,
    Literal,
    Reference,
    Unary,
)

from ...diagnostics import codes

MOST_ITEMS = 64
"""Of a list that a condition says to be longer, so many items are known to be there."""

Meant = Mapping[str, str]
"""The paths that names stand for: `let xs = a.xs`, `let n = len(a.xs)`."""
NOTHING_MEANT: Meant = {}

_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def names_in(path: str) -> frozenset[str]:
    """The names whose values decide what a path stands for."""
    bare = re.sub(r'"[^"]*"', "", path)
    return frozenset(re.findall(r"(?<![\w.])[^\W\d]\w*", bare))


def path(node: Expr, meant: Meant = NOTHING_MEANT) -> str | None:
    """A name with its fields and items as written, `gold.lines[0].sku`, or the length of one, `len(gold.lines)`; None for
    what else is computed. A name that stands for such a path, as `meant` says, is that path."""
    match node:
        case Reference(name=name):
            return meant.get(name.text, name.text)
        case Attribute(target=target, name=name) if name is not None:
            inner = path(target, meant)
            return None if inner is None else f"{inner}.{name.text}"
        case Index(target=target, index=index):
            inner, item = path(target, meant), _item(index, meant)
            return None if inner is None or item is None else f"{inner}[{item}]"
        case Call(callee=Reference(name=function), arguments=[argument]) if function.text == "len":
            inner = path(argument.value, meant)
            return None if inner is None else f"len({inner})"
        case _:
            return None


def _item(index: Expr, meant: Meant) -> str | None:
    match index:
        case Literal(value=int() as place):
            return str(place)
        case Literal(value=str() as key) if '"' not in key:
            return f'"{key}"'
        case Reference():
            return path(index, meant)
        case Unary(operator="-", operand=Literal(value=int() as place)):
            return f"-{place}"
        case _:
            return None


def never_empty(node: Expr) -> bool:
    """Whether the list has an item whatever the values are: a text that is split at a separator."""
    match node:
        case Call(callee=Reference(name=function), arguments=[_, Argument(value=Literal(value=str() as by))]):
            return function.text == "split" and by != ""
        case _:
            return False


def present(condition: Expr, outcome: bool, meant: Meant = NOTHING_MEANT) -> frozenset[str]:
    """The paths that are not none where `condition` came out as `outcome`; also what paths are or are not then, as in
    `p.kind=="card"`."""
    match condition:
        case Unary(operator="not", operand=operand):
            return present(operand, not outcome, meant)
        case Binary(operator="and" | "or" as word, left=left, right=right):
            if outcome == (word == "and"):
                return present(left, outcome, meant) | present(right, outcome, meant)
            return frozenset()
        case Binary(operator="in" | "not in" as word, left=left, right=right):
            return _keyed(right, left, meant) if outcome == (word == "in") else frozenset()
        case Call(callee=Reference(name=function), arguments=[whole, part]) if function.text == "contains":
            return _keyed(whole.value, part.value, meant) if outcome else frozenset()
        case Binary(operator="==" | "!=" as word) if (told := _told(condition, meant)) is not None:
            return frozenset((f"{told[0]}{'==' if outcome == (word == '==') else '!='}{told[1]}",))
        case Binary(operator="==" | "!=" as word, left=left, right=right) if outcome == (word == "!="):
            for value, other in ((left, right), (right, left)):
                if _is_none(other) and (found := path(value, meant)):
                    return frozenset((found,))
                if isinstance(other, ListLiteral) and not other.items and (found := path(value, meant)):
                    return frozenset((f"{found}[0]", f"{found}[-1]"))
            return _items_of(condition, outcome, meant)
        case Binary():
            return _items_of(condition, outcome, meant)
        case _:
            return frozenset()


def _told(condition: Binary, meant: Meant) -> tuple[str, str] | None:
    """The path that was compared with a text, and the text in quotes: `p.kind == "card"` says which record `p` is."""
    for value, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if isinstance(other, Literal) and isinstance(other.value, str) and '"' not in other.value:
            found = path(value, meant)
            return None if found is None else (found, f'"{other.value}"')
    return None


def _keyed(whole: Expr, key: Expr, meant: Meant) -> frozenset[str]:
    """The item of a dict that a condition looked for; of a list or a text it is no path that anything has."""
    found, item = path(whole, meant), _item(key, meant)
    return frozenset() if found is None or item is None else frozenset((f"{found}[{item}]",))


def _items_of(condition: Binary, outcome: bool, meant: Meant) -> frozenset[str]:
    """The items that are there where a list was compared by its length: `len(xs) > 1`, `0 != len(xs)`, `i < len(xs)`."""
    if condition.operator not in _OPPOSITE:
        return frozenset()
    operator = condition.operator if outcome else _OPPOSITE[condition.operator]
    left, right = condition.left, condition.right
    if _counted(left, meant) is None:
        left, right, operator = right, left, _MIRRORED[operator]
    found = _counted(left, meant)
    match right:
        case _ if found is None:
            return frozenset()
        case Literal(value=int() as count):
            least = {">": count + 1, ">=": count, "==": count, "!=": 1 if count == 0 else 0}.get(operator, 0)
            return frozenset(
                f"{found}[{place}]" for n in range(min(least, MOST_ITEMS)) for place in (n, n - least)
            )
        case Reference() if operator == ">":
            return frozenset((f"{found}[{path(right, meant)}]",))  # who asks `i < len(xs)` has thought of it
        case _:
            return frozenset()


def _counted(node: Expr, meant: Meant) -> str | None:
    """The list whose length it is."""
    found = path(node, meant)
    return found[4:-1] if found is not None and found.startswith("len(") and found.endswith(")") else None


def _is_none(node: Expr) -> bool:
    """Whether the node is `none`, or a misspelling of it, which was reported already."""
    if isinstance(node, Reference):
        return codes.habits.LITERALS.get(node.name.text) == "none"
    return isinstance(node, Literal) and node.value is None
