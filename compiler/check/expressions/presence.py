"""What a condition says of values that may be missing: `x != none` holds, so `x` is there; `len(xs) > 0`, so `xs[0]` is."""

from __future__ import annotations

import re

from dspec.grammar.tree import Attribute, Binary, Call, Expr, Index, Literal, Reference, Unary

from ...diagnostics import codes

MOST_ITEMS = 64
"""Of a list that a condition says to be longer, so many items are known to be there."""

_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def names_in(path: str) -> frozenset[str]:
    """The names whose values decide what a path stands for."""
    bare = re.sub(r'"[^"]*"', "", path)
    return frozenset(re.findall(r"(?<![\w.])[^\W\d]\w*", bare))


def path(node: Expr) -> str | None:
    """A name with its fields and items as written, `gold.lines[0].sku`; None for what is computed."""
    match node:
        case Reference(name=name):
            return name.text
        case Attribute(target=target, name=name) if name is not None:
            inner = path(target)
            return None if inner is None else f"{inner}.{name.text}"
        case Index(target=target, index=Literal(value=int() as place)):
            inner = path(target)
            return None if inner is None else f"{inner}[{place}]"
        case Index(target=target, index=Literal(value=str() as key)) if '"' not in key:
            inner = path(target)
            return None if inner is None else f'{inner}["{key}"]'
        case Index(target=target, index=Reference(name=name)):
            inner = path(target)
            return None if inner is None else f"{inner}[{name.text}]"
        case Index(target=target, index=Unary(operator="-", operand=Literal(value=int() as place))):
            inner = path(target)
            return None if inner is None else f"{inner}[-{place}]"
        case _:
            return None


def present(condition: Expr, outcome: bool) -> frozenset[str]:
    """The paths that are not none where `condition` came out as `outcome`."""
    match condition:
        case Unary(operator="not", operand=operand):
            return present(operand, not outcome)
        case Binary(operator="and" | "or" as word, left=left, right=right):
            if outcome == (word == "and"):
                return present(left, outcome) | present(right, outcome)
            return frozenset()
        case Binary(operator="==" | "!=" as word, left=left, right=right) if outcome == (word == "!="):
            for value, other in ((left, right), (right, left)):
                if _is_none(other) and (found := path(value)):
                    return frozenset((found,))
            return _items_of(condition, outcome)
        case Binary():
            return _items_of(condition, outcome)
        case _:
            return frozenset()


def _items_of(condition: Binary, outcome: bool) -> frozenset[str]:
    """The items that are there where a list was compared by its length: `len(xs) > 1`, `0 != len(xs)`, `i < len(xs)`."""
    if condition.operator not in _OPPOSITE:
        return frozenset()
    operator = condition.operator if outcome else _OPPOSITE[condition.operator]
    left, right = condition.left, condition.right
    if isinstance(right, Call):
        left, right, operator = right, left, _MIRRORED[operator]
    match left, right:
        case (
            Call(callee=Reference(name=function), arguments=[argument]),
            Literal(value=int() as count),
        ) if function.text == "len":
            found = path(argument.value)
            least = {">": count + 1, ">=": count, "==": count, "!=": 1 if count == 0 else 0}.get(operator, 0)
            if found is None:
                return frozenset()
            return frozenset(
                f"{found}[{place}]" for n in range(min(least, MOST_ITEMS)) for place in (n, n - least)
            )
        case (
            Call(callee=Reference(name=function), arguments=[argument]),
            Reference(name=place),
        ) if function.text == "len" and operator == ">" and (found := path(argument.value)) is not None:
            return frozenset((f"{found}[{place.text}]",))  # who asks `i < len(xs)` has thought of it
        case _:
            return frozenset()


def _is_none(node: Expr) -> bool:
    """Whether the node is `none`, or a misspelling of it, which was reported already."""
    if isinstance(node, Reference):
        return codes.habits.LITERALS.get(node.name.text) == "none"
    return isinstance(node, Literal) and node.value is None
