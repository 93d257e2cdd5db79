"""Binary operators: which types they take, and comparisons that can only be false."""

from __future__ import annotations

from typing import get_args

from dspec.grammar.tree import Binary, BinaryOperator, Reference
from dspec.runtime.schema.expressions import BinaryOp, Constant, Expression
from dspec.runtime.schema.types import DictOf, ListOf, OneOf, OneOfNumbers, OptionalOf, Type

from ...diagnostics import codes
from ..types.kinds import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NONE,
    STR,
    Group,
    GroupList,
    beyond_text,
    comparable,
    is_number,
    is_text,
    is_unknown,
    join,
    joined,
    plain_number,
    spell,
)
from .blocks import Side, has_steps
from .compared import held_told, is_told
from .infer import decided, infer, needed, one_value, rule, truth
from .presence import present
from .scope import Scope, Typed

OPERATORS = frozenset(get_args(BinaryOperator))
COMPARING = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "not in"))


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
        known = present(node.left, operator == "and", scope.meant)
        apart = scope.apart().knowing(known)
        side = Side(apart.block, truth(apart, node.right, what))
        if not has_steps(side):
            return Typed(BOOL, BinaryOp(operator=operator, left=left, right=side.value))
        # Its calls run only where the left side leaves the question open.
        is_open = Constant(value=operator == "and")
        asked = Side(side.block, BinaryOp(operator=operator, left=is_open, right=side.value))
        settled = Side(None, Constant(value=operator == "or"))
        sides = (asked, settled) if operator == "and" else (settled, asked)
        return Typed(BOOL, decided(scope, node, left, *sides))
    if both := _two_groups(scope, node):
        return both
    one, other = infer(scope, node.left), infer(scope, node.right)
    code = BinaryOp(operator=operator, left=one.code, right=other.code)
    length = None if one.length is None or other.length is None else one.length + other.length
    if operator == "+" and (isinstance(one.kind, GroupList) or isinstance(other.kind, GroupList)):
        lists = joined(one.kind, other.kind)
        if isinstance(lists, GroupList):
            return Typed(lists, code, length)
    left, _ = one_value(scope, node.left, one, f"`{operator}`")
    right, _ = one_value(scope, node.right, other, f"`{operator}`")
    if not _reckoned(scope, node, left, right):
        return Typed(BOOL if operator in COMPARING else ANY)
    if operator in ("==", "!=", "<", "<=", ">", ">="):
        _against_itself(scope, node)
    if operator in ("==", "!="):
        _equality(scope, node, left, right)
    elif operator in ("in", "not in"):
        needed(scope, node.right, other, f"`{operator}`")
        _membership(scope, node, left, right)
    elif operator in ("<", "<=", ">", ">="):
        needed(scope, node.left, one, f"`{operator}`")
        needed(scope, node.right, other, f"`{operator}`")
        _order(scope, node, left, right)
        _in_reach(scope, node, one.code, other.code)
    else:
        needed(scope, node.left, one, f"`{operator}`")
        needed(scope, node.right, other, f"`{operator}`")
        divisor = scope.range_of(other.code)
        if operator == "/" and divisor.low == divisor.high == 0:
            scope.session.report(
                codes.metrics.DividesByZero(scope.place.at(node), scope.place.at(node.right))
            )
        return Typed(_arithmetic(scope, node, left, right), code, length if operator == "+" else None)
    return Typed(BOOL, code)


def _reckoned(scope: Scope, node: Binary, left: Type, right: Type) -> bool:
    """Whether the operator takes what stands beside it; reports an image and the like, which none takes. Whether there is one
    may be asked, and lists of them may be joined."""
    asked = node.operator in ("==", "!=") and NONE in (left, right)
    if asked or (node.operator == "+" and isinstance(left, ListOf) and isinstance(right, ListOf)):
        return True
    for side, kind in ((node.left, left), (node.right, right)):
        if word := beyond_text(kind):
            at = scope.place.at(side)
            scope.session.report(codes.media.NotReckoned(at, word, f"`{node.operator}`"))
            return False
    return True


def _two_groups(scope: Scope, node: Binary) -> Typed | None:
    """`gold == pred`: one finding about both sides, with the names that both have."""
    names = [side.name.text for side in (node.left, node.right) if isinstance(side, Reference)]
    match [scope.names[name].kind for name in names if name in scope.names]:
        case [GroupList(), GroupList()] if node.operator == "+":
            return None
        case [Group() as left, Group() as right]:
            scope.reads.update(names)
            shared = tuple(name for name in left.members if name in right.members)
            sides = scope.operand(node.left, left), scope.operand(node.right, right)
            scope.session.report(
                codes.types.GroupsCompared(scope.place.at(node), node.operator, *sides, shared)
            )
            return Typed(BOOL)
        case _:
            return None


def _equality(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    limited = is_told(scope, node.left, node.right, right, left) or is_told(
        scope, node.right, node.left, left, right
    )
    if not limited and not comparable(left, right):
        _always(scope, node, left, right)


def _membership(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    if isinstance(right, OptionalOf):
        right = right.item
    if is_unknown(right):
        return
    if isinstance(right, ListOf | DictOf):
        item = right.item if isinstance(right, ListOf) else right.key
        told = held_told(scope, node.left, left, node.right, item)
        possible = told or comparable(left, item)
    elif is_text(right):
        possible = is_text(left) or is_unknown(left)
    else:
        word = "in" if node.operator == "in" else "not in"
        scope.session.report(codes.operators.WrongOperand(scope.place.at(node.right), word, spell(right)))
        return
    if not possible:
        _always(scope, node, left, right)


def _always(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    holds = ""
    if isinstance(right, ListOf) and comparable(left, right.item):
        holds = {"==": "in", "!=": "not in"}.get(node.operator, "")
    scope.session.report(
        codes.metrics.AlwaysTheSame(
            scope.place.at(node),
            "false" if node.operator in ("==", "in") else "true",
            scope.operand(node.left, left),
            scope.operand(node.right, right),
            isinstance(left, OneOf | OneOfNumbers) and isinstance(right, OneOf | OneOfNumbers),
            holds,
        )
    )


def _against_itself(scope: Scope, node: Binary) -> None:
    left, right = scope.place.at(node.left), scope.place.at(node.right)
    if left.text.split() == right.text.split():
        outcome = "true" if node.operator in ("==", "<=", ">=") else "false"
        scope.session.report(codes.metrics.SameOnBothSides(scope.place.at(node), outcome, left, right))


def _order(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    fit = (is_number(left) and is_number(right)) or (is_text(left) and is_text(right))
    if not (fit or is_unknown(left) or is_unknown(right)):
        _wrong_operands(scope, node, left, right)


def _in_reach(scope: Scope, node: Binary, left: Expression, right: Expression) -> None:
    """Report a score that is compared with a number that no score reaches. People write 80, since results are shown in
    percent, but a score lies in 0..1."""
    one, other = scope.range_of(left), scope.range_of(right)
    if not one.beside(other):
        return
    for side, opposite, (own, bound) in (
        (node.left, node.right, (one, other)),
        (node.right, node.left, (other, one)),
    ):
        if own.is_score:
            number = bound.low if bound.free == 0 else None
            at, sides = scope.place.at(node), (scope.place.at(side), scope.place.at(opposite))
            scope.session.report(
                codes.metrics.GateNeverChanges(at, *sides, number, scope.purpose == "a gate")
            )
            return


def _arithmetic(scope: Scope, node: Binary, left: Type, right: Type) -> Type:
    if is_unknown(left) or is_unknown(right):
        return ANY
    if is_number(left) and is_number(right):
        return FLOAT if node.operator == "/" or FLOAT in (plain_number(left), plain_number(right)) else INT
    if node.operator == "+":
        if is_text(left) and is_text(right):
            return STR
        if isinstance(left, ListOf) and isinstance(right, ListOf):
            joined = join(left, right)
            if joined is not None and not isinstance(joined, Group):
                return joined
    _wrong_operands(scope, node, left, right)
    return ANY


def _wrong_operands(scope: Scope, node: Binary, left: Type, right: Type) -> None:
    optional = number = None
    for side, kind, opposite, other in (
        (node.left, left, node.right, right),
        (node.right, right, node.left, left),
    ):
        if isinstance(kind, OptionalOf):
            optional = scope.place.at(side)
        elif node.operator == "+" and is_text(kind) and (is_number(other) or other == BOOL):
            number = scope.place.at(opposite)
    sides = scope.operand(node.left, left), scope.operand(node.right, right)
    scope.session.report(
        codes.operators.WrongOperands(scope.place.at(node), node.operator, *sides, optional, number)
    )
