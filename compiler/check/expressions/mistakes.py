"""The facts of an expression that does not fit where it stands."""

from __future__ import annotations

import re

from dspec.grammar.tree import Binary, Expr, ListLiteral, Literal, Reference, Unary
from dspec.runtime.schema.types import (
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OptionalOf,
    Scalar,
    TupleOf,
    Type,
)
from dspec.runtime.values.values import coerce

from ...diagnostics import codes
from ..symbols import Symbol
from ..types.kinds import ANY, BOOL, STR, Group, GroupList, Kind, assignable, beyond_text, is_number, spell
from .scope import Scope


def moment(text: str, want: Type) -> JsonValue:
    """The date, or date and time, that a text is where one is wanted; None for any other."""
    if not is_moment(want):
        return None
    try:
        return coerce(text, want, {})
    except ValueError:
        return None


def is_moment(kind: Kind) -> bool:
    return isinstance(kind, Scalar) and kind.name in ("date", "datetime")


def not_one_value(scope: Scope, node: Expr, group: Group, what: str) -> None:
    names = tuple(group.members)
    items = tuple(group.item.members) if isinstance(group, GroupList) else ()
    scope.session.report(
        codes.types.NotOneValue(scope.place.at(node), what, group.title, group.noun, names, items)
    )


def check_member(
    scope: Scope,
    node: Expr,
    value: str | float,
    union: OneOf | OneOfNumbers,
    what: str,
    declared: Symbol | None = None,
) -> None:
    """Report a text or a number that is none of the union's."""
    if value not in union.values:
        at = declared.location if declared else None
        values = tuple(map(str, union.values))
        numbers = isinstance(union, OneOfNumbers)
        scope.session.report(
            codes.types.NotInUnion(scope.place.at(node), str(value), values, what, at, numbers)
        )


def literal_number(node: Expr) -> int | float | None:
    """The number that is written out; None for any other expression."""
    match node:
        case Unary(operator="-", operand=Literal() as inner):
            number = literal_number(inner)
            return None if number is None else -number
        case Literal(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case _:
            return None


def mismatch(scope: Scope, node: Expr, got: Kind, want: Type, what: str, declared: Symbol | None) -> None:
    if isinstance(got, Group):
        not_one_value(scope, node, got, what)
        return
    if (word := beyond_text(got)) and want == ANY:
        scope.session.report(codes.media.NotReckoned(scope.place.at(node), word, what))
        return
    at = declared.location if declared else None
    inner = want.item if isinstance(want, OptionalOf) else want
    if isinstance(inner, TupleOf) and isinstance(node, ListLiteral) and len(node.items) != len(inner.items):
        other_length(scope, node, inner, what, declared)
        return
    remedy = _remedy(scope, node, got, want)
    scope.session.report(
        codes.types.DoesNotFit(scope.place.at(node), what, spell(want), spell(got), remedy, at)
    )


def other_length(
    scope: Scope, node: ListLiteral, want: TupleOf, what: str, declared: Symbol | None = None
) -> None:
    """Report a list that is written out where a tuple of another number of values is wanted."""
    at = declared.location if declared else None
    scope.session.report(
        codes.types.OtherLength(scope.place.at(node), what, spell(want), len(node.items), at)
    )


def is_bare_date(scope: Scope, node: Expr) -> bool:
    """Whether `2026-01-02` is written, which is a subtraction."""
    return isinstance(node, Binary) and re.fullmatch(r"\d{4}-\d\d?-\d\d?", scope.place.text(node)) is not None


def _remedy(scope: Scope, node: Expr, got: Type, want: Type) -> codes.types.Remedy:
    if isinstance(node, Literal) and node.value is None:
        return "optional"
    if is_moment(want.item if isinstance(want, OptionalOf) else want) and is_bare_date(scope, node):
        return "moment"
    if isinstance(node, Literal | ListLiteral) and beyond_text(want):
        return "hand on"
    if isinstance(got, OptionalOf) and assignable(got.item, want):
        return "decide"
    if got == STR and isinstance(want, OneOf):
        return "declare"
    if isinstance(want, OneOfNumbers) and is_number(got):
        return "declare number"
    if want != STR or isinstance(got, OptionalOf):
        return "none"
    if isinstance(node, Literal):
        return "quote" if isinstance(node.value, int | float) else "none"
    if got == BOOL:
        return "say"
    function = "join" if isinstance(got, ListOf) else "str"
    return "none" if function in scope.names else function


def unknown_value(scope: Scope, node: Reference) -> None:
    name, block = node.name.text, scope.place.block
    if block.problems and re.search(rf"\b{re.escape(name)}\s*=(?!=)", block.text):
        return  # it is made by an item that could not be read
    inside = tuple(
        f"{group}.{name}"
        for group, binding in scope.names.items()
        if isinstance(binding.kind, Group) and name in binding.kind.members
    )
    scope.session.report(codes.names.UnknownValue(scope.place.at(node), tuple(scope.names), inside))


def not_a_value(scope: Scope, node: Expr, symbol: Symbol) -> None:
    """Report the name of a declaration in place of a value."""
    callable_here = isinstance(node, Reference) and symbol.kind in scope.callable
    scope.session.report(
        codes.names.NotAValue(
            scope.place.at(node), symbol.kind, symbol.location, scope.purpose, callable_here
        )
    )
