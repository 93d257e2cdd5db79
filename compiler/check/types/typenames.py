"""From type syntax to types: `list[Line]?`, unions of literals, aliases, records."""

from __future__ import annotations

from dspec.grammar.tree import (
    DictType,
    ListType,
    LiteralType,
    NamedType,
    OptionalType,
    TypeNode,
    UnionType,
)
from dspec.runtime.schema.types import (
    ANY,
    DictOf,
    ListOf,
    OneOf,
    OptionalOf,
    RecordRef,
    Scalar,
    ScalarName,
    Type,
)

from ...diagnostics import codes
from ...diagnostics.wording import article
from ...tables.vocabulary import TYPES
from ..names.names import find, is_open, path_of, unknown, wrong_kind
from ..session import Place, Session
from ..symbols import Symbol

SCALARS: dict[str, ScalarName] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "date",
    "datetime": "datetime",
    "any": "any",
    "image": "image",
    "audio": "audio",
    "file": "file",
    "history": "history",
}

HABITS = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "double": "float",
    "boolean": "bool",
    "object": "any",
    "json": "any",
    "none": "any",
    "String": "str",
    "Any": "any",
    "List": "list",
    "array": "list",
    "Dict": "dict",
    "map": "dict",
}
"""Names of types in other languages, and what each is called here."""


def resolve_type(session: Session, place: Place, node: TypeNode) -> Type:
    """The type that `node` names; `any` after a mistake, which is reported."""
    match node:
        case ListType(item=item):
            return ListOf(item=resolve_type(session, place, item))
        case DictType(key=key, value=value):
            found = resolve_type(session, place, key)
            if found != ANY and not (
                isinstance(found, OneOf) or found in (Scalar(name="str"), Scalar(name="int"))
            ):
                session.report(codes.types.WrongKey(place.at(key)))
            return DictOf(key=found, value=resolve_type(session, place, value))
        case OptionalType(item=item):
            inner = resolve_type(session, place, item)
            return inner if isinstance(inner, OptionalOf) else OptionalOf(item=inner)
        case LiteralType(value=value):
            return OneOf(values=(value,))
        case UnionType():
            return _union(session, place, node)
        case NamedType():
            return _named(session, place, node)


def _union(session: Session, place: Place, node: UnionType) -> Type:
    values: dict[str, LiteralType] = {}
    for member in node.members:
        if not isinstance(member, LiteralType):
            session.report(codes.types.TypeInUnion(place.at(member)))
            return ANY
        if member.value in values:
            session.report(
                codes.names.InUnionTwice(place.at(member), member.value, place.at(values[member.value]))
            )
            continue
        values[member.value] = member
    return OneOf(values=tuple(values))


def _named(session: Session, place: Place, node: NamedType) -> Type:
    session.seek(node, ("type", "record"))
    word = node.name.text
    if node.qualifier is None:
        if word in SCALARS:
            return Scalar(name=SCALARS[word])
        if word in ("list", "dict"):
            session.report(codes.types.OfWhat(place.at(node)))
            return ANY
    symbol = find(session, place, node)
    if symbol is None:
        if is_open(place, node):
            return ANY
        habit = HABITS.get(word) if node.qualifier is None else None
        if habit:
            session.report(codes.names.ForeignType(place.at(node), habit))
            return ANY
        path = path_of(node)
        assert path is not None
        unknown(session, place, node, path, ("type", "record"), tuple(TYPES))
        return ANY
    if symbol.kind == "record":
        return RecordRef(name=symbol.key)
    if symbol.kind == "type":
        return alias(session, symbol, place, node)
    wrong_kind(session, place, node.name, symbol, ("type", "record"), article("field") + "'s type")
    return ANY


def alias(
    session: Session, symbol: Symbol, place: Place | None = None, node: NamedType | None = None
) -> Type:
    """What a `type` declaration stands for. A cycle is reported where it closes."""
    found = session.once(_check_alias, symbol)
    if found is not None:
        return found
    if place is not None and node is not None:
        session.report(codes.names.TypeInCircle(place.at(node), symbol.name, symbol.location))
    return ANY


def _check_alias(session: Session, symbol: Symbol) -> Type:
    value = symbol.declaration.value
    place = session.place(symbol)
    if isinstance(value, NamedType | ListType | DictType | OptionalType | UnionType | LiteralType):
        return resolve_type(session, place, value)
    return ANY
