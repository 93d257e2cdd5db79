"""Reports literals that are compared with what no such value can equal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

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

    What is wrong in a list, beside a date or a tuple was taken once: it is a warning (`NeverMet`).

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
                mistake = codes.types.NoSuchMoment(scope.place.at(node), what, spell(want))
                scope.session.report(codes.types.NeverMet(mistake.where, mistake))
            return True
        case ListLiteral(items=items), TupleOf() if len(items) != len(want.items):
            with _only_warned(scope):
                other_length(scope, node, want, what)
            return True
        case ListLiteral(items=items), TupleOf():
            with _only_warned(scope):
                for item, one in zip(items, want.items, strict=True):
                    is_told(scope, item, other, one)
            return False
        case ListLiteral(items=items), ListOf():
            with _only_warned(scope):
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
        with _only_warned(scope):
            for one in whole.items:
                is_told(scope, one, part, kind)
    return is_told(scope, part, whole, item)


@contextmanager
def _only_warned(scope: Scope) -> Generator[None]:
    """What is found meanwhile is a warning."""
    since = len(scope.session.findings)
    yield
    found = scope.session.findings[since:]
    scope.session.findings[since:] = [
        one if isinstance(one, codes.types.NeverMet) else codes.types.NeverMet(one.where, one)
        for one in found
    ]


def contained_told(scope: Scope, part: Expr, kind: Type, whole: Expr, item: Type) -> None:
    """The same of `contains(whole, part)`, with warnings alone."""
    with _only_warned(scope):
        held_told(scope, part, kind, whole, item)
