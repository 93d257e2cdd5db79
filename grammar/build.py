"""Syntax nodes from productions: one function per alias in `dspec.lark`, named like it.

A function gets one argument per symbol, punctuation included, because spans come from the first and
the last of them; a part in square brackets that was left out is None. Lists of elements grow in
place, so that a long list costs its length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeVar, cast

from . import tree
from .lexemes import Lexeme, string_value
from .tree import Argument, Expr, Item, Name, Parameter, Span, TypeNode

T = TypeVar("T")


class Body(NamedTuple):
    """A block's items, and where its braces start and end."""

    items: tuple[Item, ...]
    start: int
    end: int


class Parameters(NamedTuple):
    """A parenthesised list of parameters, and where it ends."""

    parameters: tuple[Parameter, ...]
    end: int


def _start(declaration: tree.Declaration, *_: Lexeme) -> tree.Declaration:
    return declaration


def _name(lexeme: Lexeme) -> Name:
    return Name(Span(lexeme.start, lexeme.end), lexeme.text)


def _span(first: tree.Node, last: tree.Node) -> Span:
    return Span(first.span.start, last.span.end)


# Lists -------------------------------------------------------------------------------------------


def _first(element: T) -> list[T]:
    return [element]


def _two(left: T, _: Lexeme, right: T) -> list[T]:
    return [left, right]


def _further(elements: list[T], _: Lexeme, element: T) -> list[T]:
    elements.append(element)
    return elements


# Declarations ------------------------------------------------------------------------------------


def _version(keyword: Lexeme, number: Lexeme) -> tree.Declaration:
    return tree.Declaration(Span(keyword.start, number.end), _name(keyword), value=_number(number))


def _import_path(keyword: Lexeme, path: Lexeme, _: Lexeme, name: Name) -> tree.Declaration:
    span = Span(keyword.start, name.span.end)
    return tree.Declaration(span, _name(keyword), name, value=_string(path))


def _type_alias(keyword: Lexeme, name: Name, _: Lexeme, value: TypeNode) -> tree.Declaration:
    return tree.Declaration(Span(keyword.start, value.span.end), _name(keyword), name, value=value)


def _type_hole(keyword: Lexeme, name: Name, _: Lexeme) -> tree.Declaration:
    return tree.Declaration(Span(keyword.start, name.span.end), _name(keyword), name)


def _with_items(
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    body: Body,
) -> tree.Declaration:
    span = Span(keyword.start, body.end)
    return _declaration(span, keyword, name, parameters, returns, items=body.items)


def _with_value(
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    _: Lexeme,
    value: Expr,
) -> tree.Declaration:
    return _declaration(Span(keyword.start, value.span.end), keyword, name, parameters, returns, value=value)


def _header_only(
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    hole: Lexeme,
) -> tree.Declaration:
    return _declaration(Span(keyword.start, hole.start), keyword, name, parameters, returns)


def _declaration(
    span: Span,
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    *,
    value: Expr | None = None,
    items: tuple[Item, ...] | None = None,
) -> tree.Declaration:
    return tree.Declaration(
        span,
        _name(keyword),
        name,
        None if parameters is None else parameters.parameters,
        returns.parameters if isinstance(returns, Parameters) else returns,
        value,
        items,
    )


def _no_elements(_: Lexeme, closing: Lexeme) -> Parameters:
    return Parameters((), closing.end)


def _elements(_: Lexeme, parameters: list[Parameter], *closing: Lexeme) -> Parameters:
    return Parameters(tuple(parameters), closing[-1].end)


def _second(_: Lexeme, value: T) -> T:
    return value


def _returned_fields(_: Lexeme, opening: Lexeme, fields: list[Parameter], *closing: Lexeme) -> Parameters:
    return _elements(opening, fields, *closing)


def _parameter(
    name: Name, _: Lexeme | None, kind: TypeNode | None, __: Lexeme | None, default: Expr | None
) -> Parameter:
    return Parameter(_span(name, default or kind or name), name, kind, default)


# Items -------------------------------------------------------------------------------------------


def _empty_block(opening: Lexeme, *closing: Lexeme) -> Body:
    return Body((), opening.start, closing[-1].end)


def _block(opening: Lexeme, *rest: Lexeme | list[Item]) -> Body:
    items = rest[0] if isinstance(rest[0], list) else cast("list[Item]", rest[1])
    return Body(tuple(items), opening.start, cast("Lexeme", rest[-1]).end)


def _doc(text: Lexeme) -> tree.Doc:
    return tree.Doc(Span(text.start, text.end), string_value(text.text))


def _setting(name: Name, _: Lexeme, value: Expr) -> tree.Setting:
    return tree.Setting(_span(name, value), name, value)


def _section(name: Name, body: Body) -> tree.Section:
    return tree.Section(Span(name.span.start, body.end), name, body.items)


def _field_item(
    role: Lexeme,
    name: Name,
    _: Lexeme | None,
    kind: TypeNode | None,
    __: Lexeme | None,
    default: Expr | None,
    description: Lexeme | None,
) -> tree.FieldItem:
    end = description.end if description else (default or kind or name).span.end
    return tree.FieldItem(
        Span(role.start, end),
        cast("Literal['input', 'output', 'field']", role.text),
        name,
        kind,
        default,
        string_value(description.text) if description else None,
    )


def _check_item(kind: Lexeme, condition: Expr, _: Lexeme | None, message: Expr | None) -> tree.CheckItem:
    span = Span(kind.start, (message or condition).span.end)
    return tree.CheckItem(span, cast("Literal['assert', 'suggest']", kind.text), condition, message)


def _let(word: Lexeme, name: Name, _: Lexeme, value: Expr) -> tree.Let:
    return tree.Let(Span(word.start, value.span.end), name, value)


def _return_item(word: Lexeme, arguments: list[Argument]) -> tree.Return:
    return tree.Return(Span(word.start, arguments[-1].span.end), tuple(arguments))


def _step(word: Lexeme, value: Expr) -> tree.Step:
    return tree.Step(Span(word.start, value.span.end), None, value)


def _named_step(word: Lexeme, name: Name, _: Lexeme, value: Expr) -> tree.Step:
    return tree.Step(Span(word.start, value.span.end), name, value)


def _given(word: Lexeme, name: Name, _: Lexeme, value: Expr) -> tree.Given:
    return tree.Given(Span(word.start, value.span.end), name, value)


def _expect(word: Lexeme, condition: Expr) -> tree.Expect:
    return tree.Expect(Span(word.start, condition.span.end), condition)


def _gate(word: Lexeme, condition: Expr) -> tree.Gate:
    return tree.Gate(Span(word.start, condition.span.end), condition)


# Types -------------------------------------------------------------------------------------------


def _union_type(members: list[TypeNode]) -> tree.UnionType:
    return tree.UnionType(_span(members[0], members[-1]), tuple(members))


def _optional_type(item: TypeNode, mark: Lexeme) -> tree.OptionalType:
    return tree.OptionalType(Span(item.span.start, mark.end), item)


def _named_type(name: Name) -> tree.NamedType:
    return tree.NamedType(name.span, name)


def _qualified_type(qualifier: Name, _: Lexeme, name: Name) -> tree.NamedType:
    return tree.NamedType(_span(qualifier, name), name, qualifier)


def _list_type(word: Lexeme, _: Lexeme, item: TypeNode, closing: Lexeme) -> tree.ListType:
    return tree.ListType(Span(word.start, closing.end), item)


def _dict_type(
    word: Lexeme, _: Lexeme, key: TypeNode, __: Lexeme, value: TypeNode, closing: Lexeme
) -> tree.DictType:
    return tree.DictType(Span(word.start, closing.end), key, value)


def _literal_type(text: Lexeme) -> tree.LiteralType:
    return tree.LiteralType(Span(text.start, text.end), string_value(text.text))


# Expressions -------------------------------------------------------------------------------------


def _conditional(
    word: Lexeme, condition: Expr, _: Lexeme, consequence: Expr, __: Lexeme, alternative: Expr
) -> tree.Conditional:
    span = Span(word.start, alternative.span.end)
    return tree.Conditional(span, condition, consequence, alternative)


def _binary(left: Expr, operator: Lexeme, right: Expr) -> tree.Binary:
    return tree.Binary(_span(left, right), cast("tree.BinaryOperator", operator.text), left, right)


def _not_in(left: Expr, _: Lexeme, __: Lexeme, right: Expr) -> tree.Binary:
    return tree.Binary(_span(left, right), "not in", left, right)


def _unary(operator: Lexeme, operand: Expr) -> tree.Unary:
    span = Span(operator.start, operand.span.end)
    return tree.Unary(span, cast("Literal['not', '-']", operator.text), operand)


def _attribute(target: Expr, _: Lexeme, name: Name) -> tree.Attribute:
    return tree.Attribute(_span(target, name), target, name)


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
    return Argument(_span(name, value), name, value)


def _number(number: Lexeme) -> tree.Literal:
    return tree.Literal(Span(number.start, number.end), number_value(number.text))


def _percent(number: Lexeme) -> tree.Percent:
    return tree.Percent(Span(number.start, number.end), float(number_value(number.text[:-1])))


def _string(text: Lexeme) -> tree.Literal:
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
    opening: Lexeme, element: Expr, _: Lexeme, variable: Name, __: Lexeme, iterable: Expr, closing: Lexeme
) -> tree.Comprehension:
    return tree.Comprehension(Span(opening.start, closing.end), element, variable, iterable)


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


BUILDERS: dict[str, Callable[..., Any]] = {
    function.__name__.removeprefix("_"): function
    for function in (
        _start,
        _name,
        _first,
        _two,
        _further,
        _version,
        _import_path,
        _type_alias,
        _type_hole,
        _with_items,
        _with_value,
        _header_only,
        _no_elements,
        _elements,
        _second,
        _returned_fields,
        _parameter,
        _empty_block,
        _block,
        _doc,
        _setting,
        _section,
        _field_item,
        _check_item,
        _let,
        _return_item,
        _step,
        _named_step,
        _given,
        _expect,
        _gate,
        _union_type,
        _optional_type,
        _named_type,
        _qualified_type,
        _list_type,
        _dict_type,
        _literal_type,
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
        _number,
        _percent,
        _string,
        _constant,
        _reference,
        _parenthesised,
        _list_literal,
        _comprehension,
        _inline_signature,
    )
}
"""Alias in the grammar → its function."""
