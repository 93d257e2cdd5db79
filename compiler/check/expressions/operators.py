"""Binary operators: which types they take, and comparisons that can only be false."""

from __future__ import annotations

from typing import get_args

from dspec.grammar.tree import Binary, BinaryOperator, Expr, Literal, Reference
from dspec.runtime.schema.expressions import BinaryOp, Expression
from dspec.runtime.schema.types import DictOf, ListOf, OneOf, OptionalOf, Type

from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Label
from ..types.kinds import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    Group,
    Kind,
    comparable,
    is_number,
    is_text,
    is_unknown,
    join,
    spell,
)
from .infer import infer, rule, truth
from .mistakes import not_a_member, not_a_value
from .presence import present
from .scope import Scope, Typed

OPERATORS = frozenset(get_args(BinaryOperator))


@rule(Binary)
def _binary(scope: Scope, node: Binary) -> Typed:
    """Type and lower `left operator right`."""
    operator = node.operator
    if operator not in OPERATORS:  # the parser has reported it; what stands beside it is still checked
        infer(scope, node.left)
        infer(scope, node.right)
        return Typed(ANY)
    if operator in ("and", "or"):
        what = f"each side of `{operator}`"
        left = truth(scope, node.left, what)
        known = present(node.left, operator == "and")
        right = truth(scope.inside(f"`{operator}`").knowing(known), node.right, what)
        return Typed(BOOL, BinaryOp(operator=operator, left=left, right=right))
    if both := _two_groups(scope, node):
        return both
    first, first_kind = _side(scope, node.left, operator)
    second, second_kind = _side(scope, node.right, operator)
    code = BinaryOp(operator=operator, left=first, right=second)
    if operator in ("==", "!="):
        _equality(scope, node, first_kind, second_kind)
        return Typed(BOOL, code)
    if operator in ("in", "not in"):
        _membership(scope, node, first_kind, second_kind)
        return Typed(BOOL, code)
    if operator in ("<", "<=", ">", ">="):
        _order(scope, node, first_kind, second_kind)
        return Typed(BOOL, code)
    return Typed(_arithmetic(scope, node, first_kind, second_kind), code)


def _two_groups(scope: Scope, node: Binary) -> Typed | None:
    """`gold == pred`: one message about both sides, with a field that both have."""
    kinds = [
        scope.names[side.name.text].kind
        for side in (node.left, node.right)
        if isinstance(side, Reference) and side.name.text in scope.names
    ]
    if len(kinds) < 2 or not all(isinstance(kind, Group) for kind in kinds):
        return None
    left, right = (kind for kind in kinds if isinstance(kind, Group))
    texts = scope.place.text(node.left), scope.place.text(node.right)
    shared = [name for name in left.members if name in right.members][:3]
    offers = tuple(f"{texts[0]}.{name} {node.operator} {texts[1]}.{name}" for name in shared)
    scope.reads.update(texts)
    scope.session.report(
        "DS0301",
        f"`{node.operator}` needs one value on each side; `{texts[0]}` stands for {left.title}, "
        f"`{texts[1]}` for {right.title}",
        scope.place.at(node),
        "groups of values",
        help=f"write `{offers[0]}`" if offers else "",
        fixes=suggestions(scope.place.at(node), offers, guess=True),
    )
    return Typed(BOOL)


def _side(scope: Scope, node: Expr, operator: str) -> tuple[Expression, Type]:
    typed = infer(scope, node)
    if isinstance(typed.kind, Group):
        not_a_value(scope, node, typed.kind, f"`{operator}`")
        return typed.code, ANY
    return typed.code, typed.kind


def _union(kind: Kind) -> OneOf | None:
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return inner if isinstance(inner, OneOf) else None


def _equality(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    for side, other, kind in ((node.left, right, left), (node.right, left, right)):
        union = _union(other)
        if isinstance(side, Literal) and isinstance(side.value, str) and union and kind == STR:
            if side.value not in union.values:
                opposite = node.right if side is node.left else node.left
                not_a_member(scope, side, side.value, union, f"`{scope.place.text(opposite)}`", None)
            return
    if not comparable(left, right):
        _always(scope, node, left, right, "false" if node.operator == "==" else "true")


def _always(scope: Scope, node: Binary, left: Type, right: Type, outcome: str) -> None:
    place = scope.place
    shared = ""
    if isinstance(left, OneOf) and isinstance(right, OneOf):
        shared = "the two unions share no value"
    elif isinstance(right, ListOf) and comparable(left, right.item) and node.operator in ("==", "!="):
        word = "in" if node.operator == "==" else "not in"
        asked = f"{place.text(node.left)} {word} {place.text(node.right)}"
        shared = f"to ask whether the list holds it, write `{asked}`"
    scope.session.report(
        "DS0504",
        f"this comparison is always {outcome}: `{place.text(node.left)}` is {spell(left)}, "
        f"`{place.text(node.right)}` is {spell(right)}",
        place.at(node),
        f"always {outcome}",
        secondary=(Label(place.at(node.left), spell(left)), Label(place.at(node.right), spell(right))),
        help=shared,
    )


def _membership(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    place = scope.place
    if isinstance(right, OptionalOf):
        right = right.item
    if is_unknown(right):
        return
    outcome = "false" if node.operator == "in" else "true"
    if isinstance(right, ListOf | DictOf):
        item = right.item if isinstance(right, ListOf) else right.key
        union = _union(item)
        if isinstance(node.left, Literal) and isinstance(node.left.value, str) and union:
            if node.left.value not in union.values:
                not_a_member(scope, node.left, node.left.value, union, f"`{place.text(node.right)}`", None)
        elif not comparable(left, item):
            _always(scope, node, left, right, outcome)
        return
    if is_text(right):
        if not (is_text(left) or is_unknown(left)):
            _always(scope, node, left, right, outcome)
        return
    scope.session.report(
        "DS0313",
        f"`{node.operator}` looks into a list, a dict or text, and `{place.text(node.right)}` is "
        f"{spell(right)}",
        place.at(node.right),
        spell(right),
    )


def _order(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    if is_unknown(left) or is_unknown(right):
        return
    if (is_number(left) and is_number(right)) or (is_text(left) and is_text(right)):
        return
    _not_for(scope, node, left, right, "compares two numbers or two texts")


def _arithmetic(scope: Scope, node: Binary, left: Type, right: Type) -> Type:
    if is_unknown(left) or is_unknown(right):
        return ANY
    if is_number(left) and is_number(right):
        return FLOAT if node.operator == "/" or FLOAT in (left, right) else INT
    if node.operator == "+":
        if is_text(left) and is_text(right):
            return STR
        if isinstance(left, ListOf) and isinstance(right, ListOf):
            joined = join(left, right)
            if joined is not None and not isinstance(joined, Group):
                return joined
        _not_for(scope, node, left, right, "adds two numbers, two texts or two lists")
        return ANY
    _not_for(scope, node, left, right, "works on two numbers")
    return ANY


def _not_for(scope: Scope, node: Binary, left: Type, right: Type, does: str) -> None:
    place = scope.place
    hint = ""
    for side, kind, other in ((node.left, left, right), (node.right, right, left)):
        if isinstance(kind, OptionalOf):
            text = place.text(side)
            hint = f"`{text}` may be none; decide what then: `if {text} == none then … else {text}`"
        elif node.operator == "+" and is_text(kind) and (is_number(other) or other == BOOL):
            number = place.text(node.right if side is node.left else node.left)
            hint = f"make it text first: `str({number})`"
    scope.session.report(
        "DS0313",
        f"`{node.operator}` {does}; these are {spell(left)} and {spell(right)}",
        place.at(node),
        secondary=(Label(place.at(node.left), spell(left)), Label(place.at(node.right), spell(right))),
        help=hint,
    )
