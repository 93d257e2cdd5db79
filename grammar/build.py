"""Syntax nodes from productions: one function per alias in `dspec.lark`, named like it.

A function gets one argument per symbol, punctuation included, because spans come from the first and
the last of them; a part in square brackets that was left out is None. Lists of elements grow in
place, so that a long list costs its length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar, cast

from . import tree
from .build_values import VALUES, number_literal, spanning, string_literal
from .lexemes import Lexeme, string_value
from .tree import Argument, Expr, Item, Name, Parameter, Span, TypeNode

T = TypeVar("T")
Base = tree.Reference | tree.Attribute


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
    return tree.Declaration(Span(keyword.start, number.end), _name(keyword), value=number_literal(number))


def _import_path(keyword: Lexeme, path: Lexeme, _: Lexeme, name: Name) -> tree.Declaration:
    span = Span(keyword.start, name.span.end)
    return tree.Declaration(span, _name(keyword), name, value=string_literal(path))


def _type_alias(keyword: Lexeme, name: Name, _: Lexeme, value: TypeNode) -> tree.Declaration:
    return tree.Declaration(Span(keyword.start, value.span.end), _name(keyword), name, value=value)


def _type_hole(keyword: Lexeme, name: Name, _: Lexeme) -> tree.Declaration:
    return tree.Declaration(Span(keyword.start, name.span.end), _name(keyword), name)


def _with_items(
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    base: Base | None,
    body: Body,
) -> tree.Declaration:
    span = Span(keyword.start, body.end)
    return _declaration(span, keyword, name, parameters, returns, items=body.items, base=base)


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
    base: Base | None,
    hole: Lexeme,
) -> tree.Declaration:
    return _declaration(Span(keyword.start, hole.start), keyword, name, parameters, returns, base=base)


def _declaration(
    span: Span,
    keyword: Lexeme,
    name: Name,
    parameters: Parameters | None,
    returns: TypeNode | Parameters | None,
    *,
    value: Expr | None = None,
    items: tuple[Item, ...] | None = None,
    base: Base | None = None,
) -> tree.Declaration:
    return tree.Declaration(
        span,
        _name(keyword),
        name,
        None if parameters is None else parameters.parameters,
        returns.parameters if isinstance(returns, Parameters) else returns,
        value,
        items,
        base,
    )


def _plain_base(_: Lexeme, name: Name) -> tree.Reference:
    return tree.Reference(name.span, name)


def _qualified_base(_: Lexeme, qualifier: Name, __: Lexeme, name: Name) -> tree.Attribute:
    return tree.Attribute(spanning(qualifier, name), tree.Reference(qualifier.span, qualifier), name)


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
    return Parameter(spanning(name, default or kind or name), name, kind, default)


# Items -------------------------------------------------------------------------------------------


def _empty_block(opening: Lexeme, *closing: Lexeme) -> Body:
    return Body((), opening.start, closing[-1].end)


def _block(opening: Lexeme, *rest: Lexeme | list[Item]) -> Body:
    items = rest[0] if isinstance(rest[0], list) else cast("list[Item]", rest[1])
    return Body(tuple(items), opening.start, cast("Lexeme", rest[-1]).end)


def _doc(text: Lexeme) -> tree.Doc:
    return tree.Doc(Span(text.start, text.end), string_value(text.text))


def _setting(name: Name, _: Lexeme, value: Expr) -> tree.Setting:
    return tree.Setting(spanning(name, value), name, value)


def _setting_of(name: Name, _: Lexeme, address: Expr, __: Lexeme, value: Expr) -> tree.SettingOf:
    return tree.SettingOf(spanning(name, value), name, address, value)


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


def _repeat(
    word: Lexeme,
    name: Name,
    _: Lexeme,
    __: Lexeme,
    times: Lexeme,
    ___: Lexeme,
    state: list[Name],
    body: Body,
) -> tree.Repeat:
    return tree.Repeat(Span(word.start, body.end), name, number_literal(times), tuple(state), body.items)


def _until(word: Lexeme, condition: Expr) -> tree.Until:
    return tree.Until(Span(word.start, condition.span.end), condition)


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
        _plain_base,
        _qualified_base,
        _no_elements,
        _elements,
        _second,
        _returned_fields,
        _parameter,
        _empty_block,
        _block,
        _doc,
        _setting,
        _setting_of,
        _section,
        _field_item,
        _check_item,
        _let,
        _repeat,
        _until,
        _return_item,
        _step,
        _named_step,
        _given,
        _expect,
        _gate,
    )
} | VALUES
"""Alias in the grammar → its function."""
