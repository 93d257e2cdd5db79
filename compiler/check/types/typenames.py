"""From type syntax to types: `list[Line]?`, unions of literals, aliases, records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import (
    DictType,
    FieldItem,
    ListType,
    LiteralType,
    NamedType,
    OptionalType,
    TupleType,
    TypeNode,
    UnionType,
)
from dspec.runtime.schema.types import (
    ANY,
    MAX_RECORDS,
    MAX_TUPLE,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    ScalarName,
    TupleOf,
    Type,
)

from ...diagnostics import codes
from ...diagnostics.wording import article
from ...project.source import Location
from ...tables.vocabulary import TYPES
from ..names.names import find, is_open, path_of, unknown, wrong_kind
from ..session import Place, Session
from ..symbols import Symbol
from .kinds import written

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
    "Tuple": "tuple",
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
        case TupleType(items=items):
            if len(items) > MAX_TUPLE:
                session.report(codes.shapes.TooManyParts(place.at(node), "a tuple", len(items), MAX_TUPLE))
                return ANY
            return TupleOf(items=tuple(resolve_type(session, place, item) for item in items))
        case LiteralType():
            return _literals(session, place, (node,))
        case UnionType():
            return _union(session, place, node)
        case NamedType():
            return _named(session, place, node)


def _union(session: Session, place: Place, node: UnionType) -> Type:
    """A union of literals of one kind, or of records."""
    literals: list[LiteralType] = []
    records: list[str] = []
    first = ""
    for member in node.members:
        if isinstance(member, LiteralType):
            literals.append(member)
            sort = "texts" if isinstance(member.value, str) else "numbers"
        else:
            if literals:
                beside = first if isinstance(member, NamedType) else ""
                session.report(codes.types.TypeInUnion(place.at(member), beside))
                return ANY
            kind = resolve_type(session, place, member) if isinstance(member, NamedType) else None
            session.seek(member, ("record",))
            if kind == ANY and not (isinstance(member, NamedType) and member.name.text == "any"):
                return ANY  # said already
            if not isinstance(kind, RecordRef | OneOfRecords):
                session.report(codes.types.TypeInUnion(place.at(member)))
                return ANY
            records += [kind.name] if isinstance(kind, RecordRef) else kind.records
            sort = "records"
        if first not in ("", sort):
            session.report(codes.types.TypeInUnion(place.at(member), first))
            return ANY
        first = sort
    return _records(session, place, node, records) if records else _literals(session, place, literals)


def _literals(session: Session, place: Place, members: Sequence[LiteralType]) -> Type:
    """A union of texts or of numbers; one of them alone is a union, too."""
    values: dict[str | float, LiteralType] = {}
    for member in members:
        if (before := values.get(member.value)) is not None:
            again = codes.repeats.InUnionTwice(place.at(member), written(member.value), place.at(before))
            session.report(again)
            continue
        values[member.value] = member
    texts = tuple(value for value in values if isinstance(value, str))
    if texts:
        notes = tuple(" ".join((member.note or "").split()) for member in values.values())
        return OneOf(values=texts, notes=notes if any(notes) else ())
    numbers = tuple(value for value in values if not isinstance(value, str))
    whole = all(isinstance(value, int) for value in numbers)
    return OneOfNumbers(values=numbers if whole else tuple(map(float, numbers)))


def _records(session: Session, place: Place, node: UnionType, names: Sequence[str]) -> Type:
    """A union of records, by the literal field that tells them apart."""
    names = tuple(dict.fromkeys(names))
    if len(names) > MAX_RECORDS:
        session.report(
            codes.shapes.TooManyParts(place.at(node), "a union of records", len(names), MAX_RECORDS)
        )
        return ANY
    symbols = [session.records[name] for name in names if name in session.records]
    literals = [_literal_fields(session, symbol) for symbol in symbols]
    fields = tuple(dict.fromkeys(name for own in literals for name in own))
    faults = {field: _overlap(field, symbols, literals) for field in fields}
    tag = next((field for field, fault in faults.items() if fault is None), None)
    if tag is not None:
        return OneOfRecords(tag=tag, records=names)
    if not any(symbol.block.problems for symbol in symbols):
        field, (value, without) = next(
            ((name, fault) for name, fault in faults.items() if fault is not None),
            ("kind", ("", tuple((symbol.name, symbol.location) for symbol in symbols))),
        )
        session.report(codes.shapes.NothingTellsApart(place.at(node), names, field, value, without))
    return ANY


Fault = tuple[str, tuple[tuple[str, Location], ...]]


def _overlap(
    field: str, symbols: Sequence[Symbol], literals: Sequence[Mapping[str, tuple[str, ...]]]
) -> Fault | None:
    """Why the field does not tell the records apart: those that lack it, or a value that two of them share."""
    lacking = [symbol for symbol, own in zip(symbols, literals, strict=True) if field not in own]
    if lacking:
        return "", tuple((symbol.name, symbol.location) for symbol in lacking)
    owners: dict[str, Symbol] = {}
    for symbol, own in zip(symbols, literals, strict=True):
        for value in own[field]:
            other = owners.setdefault(value, symbol)
            if other is not symbol:
                return value, ((other.name, other.location), (symbol.name, symbol.location))
    return None


def _literal_fields(session: Session, symbol: Symbol) -> dict[str, tuple[str, ...]]:
    """The fields of a record that are written as literals, those of its bases included.

    They are read from what is written, since another field of the record may have the type of the very union.
    """
    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    while symbol.key not in seen:
        seen.add(symbol.key)
        place = session.place(symbol)
        for item in place.declaration.items or ():
            if isinstance(item, FieldItem):
                members = item.type.members if isinstance(item.type, UnionType) else (item.type,)
                values = [member.value for member in members if isinstance(member, LiteralType)]
                texts = tuple(value for value in values if isinstance(value, str))
                if texts and len(texts) == len(members):
                    found.setdefault(item.name.text, texts)
        base = place.declaration.base
        below = find(session, place, base) if base is not None else None
        if below is None or below.kind != "record":
            break
        symbol = below
    return found


def _named(session: Session, place: Place, node: NamedType) -> Type:
    session.seek(node, ("type", "record"))
    word = node.name.text
    if node.qualifier is None:
        if word in SCALARS:
            return Scalar(name=SCALARS[word])
        if word in ("list", "dict") or (word == "tuple" and word not in place.scope.symbols):
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
        session.report(codes.circles.TypeInCircle(place.at(node), symbol.name, symbol.location))
    return ANY


def _check_alias(session: Session, symbol: Symbol) -> Type:
    value = symbol.declaration.value
    place = session.place(symbol)
    found = resolve_type(session, place, value) if isinstance(value, TypeNode) else ANY
    # What could be read of a union may lack its other members.
    return ANY if place.block.problems else found
