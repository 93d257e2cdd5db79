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

from ...diagnostics.record import Label
from ...tables.vocabulary import TYPES
from ..names.names import article, find, is_open, path_of, unknown, wrong_kind
from ..session import Place, Session, replace, suggestions
from ..symbols import Symbol

SCALARS: dict[str, ScalarName] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "date",
    "datetime": "datetime",
    "any": "any",
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
"""What people write who come from other languages."""


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
                session.report(
                    "DS0301",
                    f"a dict's keys are text or whole numbers, and `{place.text(key)}` is neither",
                    place.at(key),
                    "cannot be a key",
                    help="use `dict[str, …]`",
                    fixes=(replace(place.at(key), "str", guess=True),),
                )
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
            session.report(
                "DS0316",
                f"a union lists string literals, and `{place.text(member)}` is a type",
                place.at(member),
                "not a string literal",
                help="write `T?` for a value that may be missing, or a record for structured values",
            )
            return ANY
        if member.value in values:
            session.report(
                "DS0203",
                f'"{member.value}" stands twice in this union',
                place.at(member),
                "again",
                secondary=(Label(place.at(values[member.value]), "first here"),),
            )
            continue
        values[member.value] = member
    return OneOf(values=tuple(values))


def _named(session: Session, place: Place, node: NamedType) -> Type:
    word = node.name.text
    if node.qualifier is None:
        if word in SCALARS:
            return Scalar(name=SCALARS[word])
        if word == "image":
            session.report("DS0120", "not supported yet: the type `image`", place.at(node), "cannot run yet")
            return ANY
        if word in ("list", "dict"):
            full = "list[str]" if word == "list" else "dict[str, str]"
            session.report(
                "DS0317",
                f"`{word}` needs to know what it holds, as in `{full}`",
                place.at(node),
                "of what?",
                fixes=(replace(place.at(node), full, guess=True),),
            )
            return ANY
    symbol = find(session, place, node)
    if symbol is None:
        if is_open(place, node):
            return ANY
        habit = HABITS.get(word) if node.qualifier is None else None
        if habit:
            session.report(
                "DS0201",
                f"there is no type named `{word}`; did you mean `{habit}`?",
                place.at(node),
                "not a type",
                fixes=suggestions(place.at(node), (habit,)),
            )
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
        session.report(
            "DS0210",
            f"the type `{symbol.name}` is defined by way of itself",
            place.at(node),
            "comes back to itself",
            secondary=(Label(symbol.location, "declared here"),),
            help="use a record: its fields may refer to it through `?` or `list[…]`",
        )
    return ANY


def _check_alias(session: Session, symbol: Symbol) -> Type:
    value = symbol.declaration.value
    place = session.place(symbol)
    if isinstance(value, NamedType | ListType | DictType | OptionalType | UnionType | LiteralType):
        return resolve_type(session, place, value)
    return ANY
