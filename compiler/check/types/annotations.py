"""Python annotations as types of the language, read from the syntax tree and never evaluated.

What has no counterpart, a class for example, is `any`: it agrees with everything, since nothing that
is only suspected may be reported.
"""

from __future__ import annotations

import ast

from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OptionalOf,
    Scalar,
    Type,
)

from ...data.sources.python_module import quietly_parsed

_PLAIN: dict[str, Type] = {
    "str": STR,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "date": Scalar(name="date"),
    "datetime": Scalar(name="datetime"),
    "list": ListOf(item=ANY),
    "List": ListOf(item=ANY),
    "dict": DictOf(key=STR, value=ANY),
    "Dict": DictOf(key=STR, value=ANY),
}
_LISTS = frozenset(("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence"))
_DICTS = frozenset(("dict", "Dict", "Mapping", "MutableMapping"))
MAX_DEPTH = 20


def type_of(node: ast.expr | None, depth: int = 0) -> Type:
    """The type that an annotation says; `any` for none, and for whatever the language has no word for."""
    if node is None or depth > MAX_DEPTH:
        return ANY
    match node:
        case ast.Constant(value=str() as text):
            return _quoted(text, depth)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _PLAIN.get(name, ANY)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inside):
            return _generic(name, inside, depth + 1)
        case ast.BinOp(op=ast.BitOr()):
            return _union(_alternatives(node), depth + 1)
        case _:
            return ANY


def _quoted(text: str, depth: int) -> Type:
    """An annotation in quotes, which may name something that its module defines further down."""
    try:
        module = quietly_parsed(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ANY
    match module.body:
        case [ast.Expr(value=inner)]:
            return type_of(inner, depth + 1)
        case _:
            return ANY


def _generic(name: str, inside: ast.expr, depth: int) -> Type:
    parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    if name in _LISTS and len(parts) == 1:
        return ListOf(item=type_of(parts[0], depth))
    if name in _DICTS and len(parts) == 2:
        key = type_of(parts[0], depth)
        return DictOf(key=key if key != ANY else STR, value=type_of(parts[1], depth))
    if name == "Optional" and len(parts) == 1:
        return _optional(type_of(parts[0], depth))
    if name == "Union":
        return _union(parts, depth)
    if name in ("Annotated", "Awaitable"):
        return type_of(parts[0], depth)
    if name == "Coroutine" and len(parts) == 3:
        return type_of(parts[2], depth)
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        texts = tuple(value for value in values if isinstance(value, str))
        return OneOf(values=texts) if texts and len(texts) == len(parts) else ANY
    return ANY


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """`a | b | c`, which nests to the left, as a list; the first ones of a very long one."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and len(found) < 100:
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _union(parts: list[ast.expr], depth: int) -> Type:
    kinds = [type_of(part, depth) for part in parts if not _is_none(part)]
    missing = len(kinds) < len(parts)
    if len(kinds) == 1:
        kind = kinds[0]
    elif kinds and all(each in (INT, FLOAT) for each in kinds):
        kind = FLOAT
    else:
        kind = ANY
    return _optional(kind) if missing else kind


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _optional(kind: Type) -> Type:
    return kind if kind == ANY or isinstance(kind, OptionalOf) else OptionalOf(item=kind)
