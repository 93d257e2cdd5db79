"""What names hold: columns of a dataset, inputs and outputs of a program, fields of a record.

Read from syntax alone, so that it works while other declarations are broken. The checker has the
last word on what is right; this only needs to be right where the checker would have no complaint.
Every walk through names is bounded, since a broken file may well be circular.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from dspec.compiler.check.symbols import FileScope, Symbol
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.vocabulary import TYPES
from dspec.grammar.tree import (
    Attribute,
    Call,
    DictType,
    Doc,
    Expr,
    FieldItem,
    InlineSignature,
    Item,
    ListType,
    LiteralType,
    NamedType,
    Node,
    OptionalType,
    Parameter,
    Reference,
    Section,
    Setting,
    TypeNode,
    UnionType,
)
from dspec.grammar.walk import children
from dspec.runtime.running.strategies.table import STRATEGIES

MAX_HOPS = 16
"""Names followed from one to the next before giving up."""


class Typed(Struct, frozen=True):
    """A value of a type as written in `scope`; None where it is not known."""

    type: TypeNode | None
    scope: FileScope


class Field(Struct, frozen=True):
    """A named value: a column, an input, an output, a record's field."""

    name: str
    value: Typed
    doc: str = ""
    has_default: bool = False

    @property
    def detail(self) -> str:
        return spell(self.value.type) if self.value.type else ""


Fields = tuple[Field, ...]
Value = Typed | Fields
"""One value, or a group of named values that a dot reaches."""


class Interface(Struct, frozen=True):
    inputs: Fields
    outputs: Fields


def spell(node: TypeNode) -> str:
    """The type as it is written, on one line."""
    match node:
        case NamedType(name=name, qualifier=qualifier):
            return f"{qualifier.text}.{name.text}" if qualifier else name.text
        case ListType(item=item):
            return f"list[{spell(item)}]"
        case DictType(key=key, value=value):
            return f"dict[{spell(key)}, {spell(value)}]"
        case OptionalType(item=item):
            return f"{spell(item)}?"
        case UnionType(members=members):
            return " | ".join(spell(member) for member in members)
        case LiteralType(value=value):
            return f'"{value}"'


def look_up(scope: FileScope, name: str, qualifier: str | None = None) -> tuple[FileScope, Symbol] | None:
    """A declaration by its name, and the file that it stands in."""
    where = scope if qualifier is None else scope.imports.get(qualifier)
    symbol = where.symbols.get(name) if where else None
    return (where, symbol) if where and symbol else None


def follow(scope: FileScope, expression: Expr) -> tuple[FileScope, Symbol] | None:
    """The declaration that `name` or `alias.name` stands for."""
    match expression:
        case Reference(name=name):
            return look_up(scope, name.text)
        case Attribute(target=Reference(name=alias), name=name) if name is not None:
            return look_up(scope, name.text, alias.text)
        case _:
            return None


def names(scope: FileScope, kinds: Collection[str]) -> Iterator[tuple[str, Symbol]]:
    """Declarations of some kinds as the file would write them, its own first."""
    for symbol in scope.symbols.values():
        if symbol.kind in kinds:
            yield symbol.name, symbol
    for alias, imported in scope.imports.items():
        for symbol in imported.symbols.values() if imported else ():
            if symbol.kind in kinds:
                yield f"{alias}.{symbol.name}", symbol


def doc_of(symbol: Symbol) -> str:
    return next((item.text for item in symbol.declaration.items or () if isinstance(item, Doc)), "")


def fields(items: tuple[Item, ...] | None, scope: FileScope, roles: Collection[str]) -> Fields:
    return tuple(
        Field(item.name.text, Typed(item.type, scope), item.description or "", item.default is not None)
        for item in items or ()
        if isinstance(item, FieldItem) and item.role in roles
    )


def parameters(nodes: tuple[Parameter, ...], scope: FileScope) -> Fields:
    return tuple(
        Field(node.name.text, Typed(node.type, scope), has_default=node.default is not None) for node in nodes
    )


def columns(scope: FileScope, symbol: Symbol) -> Fields:
    return fields(symbol.declaration.items, scope, ("input", "field"))


def parts(symbol: Symbol) -> tuple[str, ...]:
    """The names of a dataset's split parts."""
    split = BLOCKS["dataset"].section("split")
    return tuple(
        setting.name.text
        for item in symbol.declaration.items or ()
        if isinstance(item, Section) and item.name.text == "split"
        for setting in item.items
        if isinstance(setting, Setting) and not (split and split.attribute(setting.name.text))
    )


def interface(scope: FileScope, symbol: Symbol, hops: int = MAX_HOPS) -> Interface | None:
    """Inputs and outputs of whatever can be called or tuned; None when they cannot be told."""
    declaration = symbol.declaration
    match symbol.kind:
        case "signature":
            return Interface(
                fields(declaration.items, scope, ("input",)), fields(declaration.items, scope, ("output",))
            )
        case "module":
            return _module(scope, declaration.value, hops) if isinstance(declaration.value, Call) else None
        case "program" | "extern":
            returns = declaration.returns
            outputs = parameters(returns, scope) if isinstance(returns, tuple) else ()
            return Interface(parameters(declaration.parameters or (), scope), outputs)
        case "optimize":
            target = setting(declaration.items, "program")
            found = follow(scope, target) if target and hops else None
            return interface(*found, hops - 1) if found else None
        case _:
            return None


def result(scope: FileScope, symbol: Symbol) -> Value | None:
    """What a call of the declaration gives."""
    returns = symbol.declaration.returns
    if symbol.kind in ("program", "extern") and returns is not None and not isinstance(returns, tuple):
        return Typed(returns, scope)
    found = interface(scope, symbol)
    return found.outputs if found else None


def setting(items: tuple[Item, ...] | None, name: str) -> Expr | None:
    return next(
        (item.value for item in items or () if isinstance(item, Setting) and item.name.text == name), None
    )


def predictors(items: tuple[Item, ...] | None, scope: FileScope) -> list[tuple[str, Symbol]]:
    """The predictors of what `program = …` of a block names, by address: itself, or the modules it calls."""
    value = setting(items, "program")
    found = follow(scope, value) if value else None
    if found is None:
        return []
    home, symbol = found
    if symbol.kind == "module":
        return [(symbol.key, symbol)]
    called: dict[str, Symbol] = {}
    waiting: list[Node] = list(symbol.declaration.items or ()) if symbol.kind == "program" else []
    while waiting:
        node = waiting.pop(0)
        waiting += children(node)
        other = follow(home, node.callee) if isinstance(node, Call) else None
        if other is not None and other[1].kind == "module":
            called.setdefault(other[1].key, other[1])
    return list(called.items())


def _module(scope: FileScope, call: Call, hops: int) -> Interface | None:
    argument = next((a.value for a in call.arguments if a.name is None or a.name.text == "signature"), None)
    if isinstance(argument, InlineSignature):
        found = Interface(parameters(argument.inputs, scope), parameters(argument.outputs, scope))
    else:
        target = follow(scope, argument) if argument else None
        known = interface(*target, hops - 1) if target and hops and target[1].kind == "signature" else None
        if known is None:
            return None
        found = known
    strategy = STRATEGIES.get(call.callee.name.text) if isinstance(call.callee, Reference) else None
    added = (
        [Field(one.name, Typed(None, scope), one.description) for one in strategy.adds] if strategy else []
    )
    return Interface(found.inputs, (*added, *found.outputs))


def resolved(value: Typed) -> Typed | Symbol:
    """A type with its aliases followed; the record itself where it is one."""
    node, scope = value.type, value.scope
    for _ in range(MAX_HOPS):
        if isinstance(node, OptionalType):
            node = node.item
            continue
        if not isinstance(node, NamedType) or (node.qualifier is None and node.name.text in TYPES):
            return Typed(node, scope)
        found = look_up(scope, node.name.text, node.qualifier.text if node.qualifier else None)
        if found is None:
            return Typed(None, scope)
        scope, symbol = found
        if symbol.kind == "record":
            return symbol
        alias = symbol.declaration.value
        if symbol.kind != "type" or not isinstance(
            alias, NamedType | ListType | DictType | OptionalType | UnionType | LiteralType
        ):
            return Typed(None, scope)
        node = alias
    return Typed(None, scope)


def members(value: Value | None) -> Fields:
    """What a dot after the value reaches."""
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    found = resolved(value)
    if isinstance(found, Symbol):
        scope = _scope_of(value, found)
        return fields(found.declaration.items, scope, ("field",)) if scope else ()
    return ()


def _scope_of(value: Typed, record: Symbol) -> FileScope | None:
    waiting, seen = [value.scope], set[int]()
    while waiting:
        scope = waiting.pop()
        if id(scope) in seen:
            continue
        seen.add(id(scope))
        if scope.symbols.get(record.name) is record:
            return scope
        waiting += [imported for imported in scope.imports.values() if imported]
    return None


def item(value: Value | None) -> Typed | None:
    """What an index into the value gives."""
    if not isinstance(value, Typed):
        return None
    found = resolved(value)
    if isinstance(found, Symbol):
        return None
    match found.type:
        case ListType(item=node) | DictType(value=node):
            return Typed(node, found.scope)
        case _:
            return None


def literals(value: Value | None) -> tuple[str, ...] | None:
    """The values of a union of literals; None for any other type."""
    found = resolved(value) if isinstance(value, Typed) else None
    match found:
        case Typed(type=LiteralType(value=only)):
            return (only,)
        case Typed(type=UnionType(members=alternatives)):
            return tuple(member.value for member in alternatives if isinstance(member, LiteralType))
        case _:
            return None


def is_flag(value: Value | None) -> bool:
    found = resolved(value) if isinstance(value, Typed) else None
    return (
        isinstance(found, Typed)
        and isinstance(found.type, NamedType)
        and found.type.qualifier is None
        and found.type.name.text == "bool"
    )
