"""Types and expressions from productions: the part of `build` below declarations and items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

from msgspec.structs import replace

from . import tree
from .lexemes import Lexeme, string_value
from .tree import Argument, Expr, Name, Parameter, Span, TypeNode


def spanning(first: tree.Node, last: tree.Node) -> Span:
    return Span(first.span.start, last.span.end)


# Types -------------------------------------------------------------------------------------------


def _union_type(members: list[TypeNode]) -> tree.UnionType:
    return tree.UnionType(spanning(members[0], members[-1]), tuple(members))


def _optional_type(item: TypeNode, mark: Lexeme) -> tree.OptionalType:
    return tree.OptionalType(Span(item.span.start, mark.end), item)


def _named_type(name: Name) -> tree.NamedType:
    return tree.NamedType(name.span, name)


def _qualified_type(qualifier: Name, _: Lexeme, name: Name) -> tree.NamedType:
    return tree.NamedType(spanning(qualifier, name), name, qualifier)


def _list_type(word: Lexeme, _: Lexeme, item: TypeNode, closing: Lexeme) -> tree.ListType:
    return tree.ListType(Span(word.start, closing.end), item)


def _dict_type(
    word: Lexeme, _: Lexeme, key: TypeNode, __: Lexeme, value: TypeNode, closing: Lexeme
) -> tree.DictType:
    return tree.DictType(Span(word.start, closing.end), key, value)


def _tuple_type(word: Lexeme, _: Lexeme, items: list[TypeNode], *closing: Lexeme) -> tree.TupleType:
    return tree.TupleType(Span(word.start, closing[-1].end), tuple(items))


def _literal_type(text: Lexeme) -> tree.LiteralType:
    return tree.LiteralType(Span(text.start, text.end), string_value(text.text))


def _described_type(text: Lexeme, note: Lexeme) -> tree.LiteralType:
    return tree.LiteralType(Span(text.start, note.end), string_value(text.text), string_value(note.text))


def _number_type(number: Lexeme) -> tree.LiteralType:
    return tree.LiteralType(Span(number.start, number.end), number_value(number.text))


def _negative_type(sign: Lexeme, number: Lexeme) -> tree.LiteralType:
    return tree.LiteralType(Span(sign.start, number.end), -number_value(number.text))


# Expressions -------------------------------------------------------------------------------------


def _conditional(
    word: Lexeme, condition: Expr, _: Lexeme, consequence: Expr, __: Lexeme, alternative: Expr
) -> tree.Conditional:
    span = Span(word.start, alternative.span.end)
    return tree.Conditional(span, condition, consequence, alternative)


def _binary(left: Expr, operator: Lexeme, right: Expr) -> tree.Binary:
    return tree.Binary(spanning(left, right), cast("tree.BinaryOperator", operator.text), left, right)


def _not_in(left: Expr, _: Lexeme, __: Lexeme, right: Expr) -> tree.Binary:
    return tree.Binary(spanning(left, right), "not in", left, right)


def _unary(operator: Lexeme, operand: Expr) -> tree.Unary:
    span = Span(operator.start, operand.span.end)
    return tree.Unary(span, cast("Literal['not', '-']", operator.text), operand)


def _attribute(target: Expr, _: Lexeme, name: Name) -> tree.Attribute:
    return tree.Attribute(spanning(target, name), target, name)


def _attribute_hole(target: Expr, dot: Lexeme, _: Lexeme) -> tree.Attribute:
    return tree.Attribute(Span(target.span.start, dot.end), target, None)


def _index(target: Expr, _: Lexeme, index: Expr, closing: Lexeme) -> tree.Index:
    return tree.Index(Span(target.span.start, closing.end), target, index)


def _call(callee: Expr, _: Lexeme, *rest: Lexeme | list[Argument]) -> tree.Call:
    arguments = tuple(rest[0]) if isinstance(rest[0], list) else ()
    return tree.Call(Span(callee.span.start, cast("Lexeme", rest[-1]).end), callee, arguments)


def _positional(value: Expr) -> Argument:
    return Argument(value.span, None, value)


def _named(name: Name, _: Lexeme, value: Expr) -> Argument:
    return Argument(spanning(name, value), name, value)


def number_literal(number: Lexeme) -> tree.Literal:
    return tree.Literal(Span(number.start, number.end), number_value(number.text))


def _percent(number: Lexeme) -> tree.Percent:
    return tree.Percent(Span(number.start, number.end), float(number_value(number.text[:-1])))


def string_literal(text: Lexeme) -> tree.Literal:
    return tree.Literal(Span(text.start, text.end), string_value(text.text))


def _constant(word: Lexeme) -> tree.Literal:
    value = {"true": True, "false": False, "none": None}[word.text]
    return tree.Literal(Span(word.start, word.end), value)


def _reference(name: Name) -> tree.Reference:
    return tree.Reference(name.span, name)


def _parenthesised(opening: Lexeme, inner: Expr, closing: Lexeme) -> Expr:
    """The inner expression; its span takes in the parentheses, so that spans nest like the text."""
    return replace(inner, span=Span(opening.start, closing.end))


def _list_literal(opening: Lexeme, *rest: Lexeme | list[Expr]) -> tree.ListLiteral:
    items = tuple(rest[0]) if isinstance(rest[0], list) else ()
    return tree.ListLiteral(Span(opening.start, cast("Lexeme", rest[-1]).end), items)


def _comprehension(
    opening: Lexeme,
    element: Expr,
    _: Lexeme,
    variable: Name,
    __: Lexeme | None,
    of: Name | None,
    ___: Lexeme,
    iterable: Expr,
    closing: Lexeme,
) -> tree.Comprehension:
    return tree.Comprehension(Span(opening.start, closing.end), element, variable, of, iterable)


def _inline_signature(
    word: Lexeme, _: Lexeme, *rest: Lexeme | list[Parameter] | None
) -> tree.InlineSignature:
    lists = [part for part in rest if isinstance(part, list)]
    inputs = tuple(lists[0]) if len(lists) == 2 else ()
    return tree.InlineSignature(Span(word.start, cast("Lexeme", rest[-1]).end), inputs, tuple(lists[-1]))


def number_value(source: str) -> int | float:
    """A number token's value; ints stay ints. Lengths are bounded by `lexemes`, so int() is cheap."""
    digits = source.replace("_", "")
    return int(digits) if digits.isdecimal() else float(digits)


VALUES: dict[str, Callable[..., Any]] = {
    function.__name__.removeprefix("_"): function
    for function in (
        _union_type,
        _optional_type,
        _named_type,
        _qualified_type,
        _list_type,
        _dict_type,
        _tuple_type,
        _literal_type,
        _described_type,
        _number_type,
        _negative_type,
        _conditional,
        _binary,
        _not_in,
        _unary,
        _attribute,
        _attribute_hole,
        _index,
        _call,
        _positional,
        _named,
        _percent,
        _constant,
        _reference,
        _parenthesised,
        _list_literal,
        _comprehension,
        _inline_signature,
    )
} | {"number": number_literal, "string": string_literal}
"""Alias in the grammar → its function."""
