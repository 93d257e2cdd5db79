"""Expressions: typed and lowered in one walk.

`infer` finds an expression's kind, `expect` checks it against a wanted type (so that a literal can
be compared with a union's members and an empty list gets its type). Both return the runtime
expression too; after a mistake it is a placeholder, since a file with errors is never lowered.

What each form of expression means stands in the files of this folder, as one rule for its class of node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from dspec.grammar.tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    ListLiteral,
    Literal,
    Name,
    Node,
    Reference,
    Unary,
)
from dspec.runtime.errors import EvaluationError
from dspec.runtime.schema.expressions import Constant, Expression, If, ListOfItems
from dspec.runtime.schema.types import (
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OptionalOf,
    TupleOf,
    Type,
)
from dspec.runtime.values.interpret import evaluate, names

from ...diagnostics import codes
from ..symbols import Symbol
from ..types.kinds import ANY, BOOL, INT, STR, Group, assignable, is_number, is_unknown, spell
from . import presence
from .blocks import Side, branched, has_steps
from .mistakes import check_member, is_bare_date, is_moment, literal_number, mismatch, moment, not_one_value
from .presence import present
from .scope import Scope, Typed

Form = TypeVar("Form", bound=Node)
Rule = Callable[[Scope, Form], Typed]

_RULES: dict[type[Node], Rule[Node]] = {}


def rule(form: type[Form]) -> Callable[[Rule[Form]], Rule[Form]]:
    """Makes a function the rule for a form of expression; the folder's `__init__` imports all of them."""

    def register(function: Rule[Form]) -> Rule[Form]:
        _RULES[form] = cast("Rule[Node]", function)
        return function

    return register


def infer(scope: Scope, node: Expr) -> Typed:
    """The kind of `node` and its runtime form; reports what is wrong in it."""
    typed = _RULES[type(node)](scope, node)
    if scope.session.journal is not None:
        scope.session.journal.expression(node, scope, typed.kind)
    if scope.parts is not None and scope.times is None:
        scope.parts.append((node, typed.code))
    return typed


def expect(scope: Scope, node: Expr, want: Type, what: str, declared: Symbol | None = None) -> Expression:
    """Check `node` against `want`. `what` names the value in messages; `declared` is the symbol that has the type."""
    if scope.session.journal is not None:
        scope.session.journal.want(node, scope, want)
    inner = want.item if isinstance(want, OptionalOf) else want
    match node:
        case Literal(value=str() as value) if isinstance(inner, OneOf):
            check_member(scope, node, value, inner, what, declared)
            return Constant(value=value)
        case Reference(name=Name(text=name)) if (
            isinstance(inner, OneOf)
            and name in inner.values
            and name not in scope.names
            and name not in scope.place.scope.symbols
        ):
            scope.session.report(codes.names.UnknownValue(scope.place.at(node), (), (), label=True))
            return Constant(value=name)
        case Literal() | Unary(operator="-", operand=Literal()) if (
            isinstance(inner, OneOfNumbers) and (number := literal_number(node)) is not None
        ):
            check_member(scope, node, number, inner, what, declared)
            return Constant(value=number)
        case ListLiteral(items=items) if isinstance(inner, TupleOf) and len(items) == len(inner.items):
            return ListOfItems(
                items=tuple(
                    expect(scope, item, kind, f"an item of {what}", declared)
                    for item, kind in zip(items, inner.items, strict=True)
                )
            )
        case Literal(value=str() as value) if (when := moment(value, inner)) is not None:
            return Constant(value=when)
        case Literal(value=str()) if is_moment(inner):
            at = scope.place.at(node)
            scope.session.report(
                codes.types.NoSuchMoment(at, what, spell(inner), declared.location if declared else None)
            )
            return Constant(value=None)
        case Binary() if is_moment(inner) and is_bare_date(scope, node):
            mismatch(scope, node, INT, want, what, declared)
            return Constant(value=None)
        case ListLiteral(items=items) if isinstance(inner, ListOf):
            return ListOfItems(
                items=tuple(expect(scope, item, inner.item, f"an item of {what}", declared) for item in items)
            )
        case Call(callee=Reference(name=Name(text="dict"))) if isinstance(inner, DictOf):
            return _dict(scope, node, inner, what)
        case Conditional(condition=condition, consequence=consequence, alternative=alternative):
            test = truth(scope, condition, "the condition of `if`")
            first = scope.apart().knowing(present(condition, True, scope.meant))
            second = scope.apart().knowing(present(condition, False, scope.meant))
            return decided(
                scope,
                node,
                test,
                Side(first.block, expect(first, consequence, want, what, declared)),
                Side(second.block, expect(second, alternative, want, what, declared)),
            )
        case _:
            typed = infer(scope, node)
            if not isinstance(want, OptionalOf) and not is_unknown(want):
                needed(scope, node, typed, what)
            if not assignable(typed.kind, want):
                mismatch(scope, node, typed.kind, want, what, declared)
            return typed.code


def _dict(scope: Scope, node: Call, want: DictOf, what: str) -> Expression:
    """A dict that is written out, `dict(a = 1, b = 2)`: its entries by their keys."""
    keys = want.key if isinstance(want.key, OneOf) else None
    if keys is None and not assignable(STR, want.key):
        got = DictOf(key=STR, value=want.value)
        mismatch(scope, node, got, want, what, None)
    values: dict[str, JsonValue] = {}
    first: dict[str, Name] = {}
    for argument in node.arguments:
        if argument.name is None:
            scope.session.report(codes.values.EntryWithoutName(scope.place.at(argument)))
            infer(scope, argument.value)
            continue
        key = argument.name.text
        if first.setdefault(key, argument.name) is not argument.name:
            at = scope.place.at(argument.name)
            scope.session.report(codes.attributes.GivenTwice(at, key, scope.place.at(first[key]), what))
        if keys is not None and key not in keys.values:
            at = scope.place.at(argument.name)
            scope.session.report(codes.calls.UnknownArgument(at, what, keys.values, "key"))
        code = expect(scope, argument.value, want.value, f"`{key}`")
        values[key] = written_out(scope, argument.value, code, key)
    return Constant(value=values)


def written_out(scope: Scope, node: Expr, code: Expression, name: str) -> JsonValue:
    """The value of a part of what is written out: computed here, once and for all. Reports one that reads a name."""
    try:
        if not names(code):
            return evaluate(code, {})
    except EvaluationError:
        pass
    scope.session.report(codes.values.NotWrittenOut(scope.place.at(node), name))
    return None


def decided(
    scope: Scope, node: Expr, condition: Expression, consequence: Side, alternative: Side
) -> Expression:
    """A choice between two values: an expression, or a step of its own where one of the two makes steps."""
    if scope.block is None or not (has_steps(consequence) or has_steps(alternative)):
        return If(condition=condition, consequence=consequence.value, alternative=alternative.value)
    return branched(scope.block, scope.step_name(node, "if"), condition, consequence, alternative)


def value(scope: Scope, node: Expr, what: str) -> tuple[Type, Expression]:
    """The type of `node`, which must be one value and no group of values."""
    return one_value(scope, node, needed(scope, node, infer(scope, node), what), what)


def needed(scope: Scope, node: Expr, typed: Typed, what: str) -> Typed:
    """The same, where `what` cannot be none; warns of an item that may not be there."""
    if typed.unsure is not None:
        scope.session.report(
            codes.operators.MayBeMissing(
                scope.place.at(node), typed.unsure, what, presence.path(node) is not None
            )
        )
    return typed


def one_value(scope: Scope, node: Expr, typed: Typed, what: str) -> tuple[Type, Expression]:
    """Like `value`, for a node that was inferred already."""
    if isinstance(typed.kind, Group):
        not_one_value(scope, node, typed.kind, what)
        return ANY, typed.code
    return typed.kind, typed.code


def truth(scope: Scope, node: Expr, what: str) -> Expression:
    """Check that `node` is true or false."""
    kind, code = value(scope, node, what)
    if not assignable(kind, BOOL):
        remedy = "ask" if isinstance(kind, OptionalOf) else "none"
        if is_number(kind) and not isinstance(node, Literal):
            remedy = "compare"
        scope.session.report(codes.operators.NotTrueOrFalse(scope.place.at(node), what, spell(kind), remedy))
    return code
