"""Reports literals that are compared with what no such value can equal."""

from __future__ import annotations

from dspec.grammar.tree import Expr, ListLiteral, Literal
from dspec.runtime.schema.types import ListOf, OneOf, OneOfNumbers, OptionalOf, TupleOf, Type

from ...diagnostics import codes
from ..types.kinds import spell
from .mistakes import (
    check_member,
    is_bare_date,
    is_moment,
    literal_number,
    mismatch,
    moment,
    other_length,
)
from .scope import Scope


def is_told(scope: Scope, node: Expr, other: Expr, kind: Type, got: Type | None = None) -> bool:
    """Whether `node` is a literal that is held against the type `kind` of `other`, so that types alone need not be.

    Reports one that a union does not have, a text that is no date where `other` is one, a date without quotes, and a list of
    another length than a tuple. A list's items are looked at one by one; what they are together, types say.
    """
    want = kind.item if isinstance(kind, OptionalOf) else kind
    what = f"`{scope.place.text(other)}`"
    match node, want:
        case Literal(value=str() as value), OneOf():
            check_member(scope, node, value, want, what)
            return True
        case Literal(value=str() as value), _ if is_moment(want):
            if moment(value, want) is None:
                scope.session.report(codes.types.NoSuchMoment(scope.place.at(node), what, spell(want)))
            return True
        case ListLiteral(items=items), TupleOf() if len(items) != len(want.items):
            other_length(scope, node, want, what)
            return True
        case ListLiteral(items=items), TupleOf():
            for item, one in zip(items, want.items, strict=True):
                is_told(scope, item, other, one)
            return False
        case ListLiteral(items=items), ListOf():
            for item in items:
                is_told(scope, item, other, want.item)
            return False
        case _, OneOfNumbers() if (number := literal_number(node)) is not None:
            check_member(scope, node, number, want, what)
            return True
        case _ if is_moment(want) and got is not None and is_bare_date(scope, node):
            mismatch(scope, node, got, want, what, None)
            return True
        case _:
            return False


def held_told(scope: Scope, part: Expr, kind: Type, whole: Expr, item: Type) -> bool:
    """The same of `part in whole`, where `kind` is the type of the one and `item` that of the other's items."""
    if isinstance(whole, ListLiteral):
        for one in whole.items:
            is_told(scope, one, part, kind)
    return is_told(scope, part, whole, item)
