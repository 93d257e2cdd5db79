"""`record` declarations: fields, checks, and records that could never end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from dspec.grammar.tree import CheckItem, Doc, Expr, FieldItem, Item
from dspec.runtime.schema.expressions import Constant, Expression
from dspec.runtime.schema.program import Check, FieldSpec, Record
from dspec.runtime.schema.types import JsonValue, RecordRef, Type

from ...diagnostics.codes.names import ItemTwice
from ...diagnostics.codes.types import ContainsItself, Lacks
from ..expressions.infer import expect, truth
from ..expressions.scope import Scope, bindings
from ..session import Place, Session
from ..shape.literals import literal_value
from ..symbols import Symbol
from ..types.kinds import STR, Group, Member, spell
from ..types.typenames import resolve_type

Role = Literal["input", "output", "field"]


def doc_of(items: tuple[Item, ...] | None) -> str:
    return next((item.text for item in items or () if isinstance(item, Doc)), "")


def fields(session: Session, place: Place, role: Role) -> tuple[Member, ...]:
    """The `input`, `output` or `field` items of a block, each name once."""
    symbol_kind = "column" if place.declaration.keyword.text == "dataset" else role
    found: dict[str, Member] = {}
    for item in place.declaration.items or ():
        if not (isinstance(item, FieldItem) and item.role == role):
            continue
        kind = resolve_type(session, place, item.type) if item.type else STR
        symbol = session.declare(
            place,
            symbol_kind,
            item.name.text,
            item.name,
            item.description or "",
            spell(kind),
        )
        first = found.get(item.name.text)
        if first and first.symbol:
            session.report(ItemTwice(place.at(item.name), role, first.symbol.location))
            continue
        found[item.name.text] = Member(
            item.name.text, kind, symbol, item.default is not None, item.description or ""
        )
    return tuple(found.values())


def field_specs(
    session: Session, place: Place, members: tuple[Member, ...], role: Role
) -> tuple[FieldSpec, ...]:
    """Runtime fields, with their defaults checked."""
    nodes = {
        item.name.text: item
        for item in reversed(place.declaration.items or ())
        if isinstance(item, FieldItem) and item.role == role
    }
    specs: list[FieldSpec] = []
    for member in members:
        node = nodes.get(member.name)
        default = node.default if node else None
        value: JsonValue = None
        if default is not None:
            value = default_value(session, place, default, member)
        specs.append(
            FieldSpec(
                name=member.name,
                type=member.type,
                description=member.description,
                has_default=default is not None,
                default=value,
            )
        )
    return tuple(specs)


def default_value(session: Session, place: Place, node: Expr, member: Member) -> JsonValue:
    """A default must be a literal of the field's type."""
    scope = Scope(session, place, {}, "a default")
    code = expect(scope, node, member.type, f"the default of `{member.name}`", member.symbol)
    return literal_value(session, place, node, code, member.name)


def checks(session: Session, place: Place, scope: Scope) -> tuple[Check, ...]:
    """The `assert` and `suggest` items of a block, their conditions read in `scope`."""
    return tuple(
        check_item(scope, item) for item in place.declaration.items or () if isinstance(item, CheckItem)
    )


def check_item(scope: Scope, item: CheckItem) -> Check:
    condition = truth(scope, item.condition, f"the condition of `{item.kind}`")
    message: Expression
    if item.message is None:
        text = " ".join(scope.place.text(item.condition).split())
        message = Constant(value=f"this must hold: {text}")
    else:
        message = expect(scope, item.message, STR, "the message after `else`")
    return Check(kind=item.kind, condition=condition, message=message)


def record_fields(session: Session, symbol: Symbol) -> Group | None:
    """A record's fields, without looking into its checks; None while they are being read."""
    return session.once(_read_fields, symbol)


def _read_fields(session: Session, symbol: Symbol) -> Group:
    place = session.place(symbol)
    members = fields(session, place, "field")
    return Group(f"the fields of `{symbol.name}`", {member.name: member for member in members}, "field")


def records_lookup(session: Session) -> Callable[[str], Group | None]:
    """The function that scopes use to find a record's fields by key."""

    def lookup(key: str) -> Group | None:
        symbol = session.records.get(key)
        return record_fields(session, symbol) if symbol else None

    return lookup


def record(session: Session, symbol: Symbol) -> Record | None:
    return session.once(_check_record, symbol)


def _check_record(session: Session, symbol: Symbol) -> Record:
    place = session.place(symbol)
    group = record_fields(session, symbol)
    assert group is not None
    members = tuple(group.members.values())
    empty = not any(isinstance(item, FieldItem) for item in place.declaration.items or ())
    if empty and place.declaration.items is not None and not place.block.problems:
        session.report(Lacks(symbol.location, "field", "record"))
    scope = Scope(session, place, bindings(members), "a record's check", records=records_lookup(session))
    _endless(session, symbol, members)
    return Record(
        name=symbol.key,
        description=doc_of(place.declaration.items),
        fields=field_specs(session, place, members, "field"),
        checks=checks(session, place, scope),
    )


def _endless(session: Session, symbol: Symbol, members: tuple[Member, ...]) -> None:
    """Report a field through which every value of the record would need another one inside."""
    for member in members:
        if symbol.key in session.circles:
            return
        way = _required_way(session, member.type, symbol.key, ())
        if way is None or member.symbol is None:
            continue
        session.circles |= {symbol.key, *way}
        place = session.place(symbol)
        node = next(
            item.type
            for item in place.declaration.items or ()
            if isinstance(item, FieldItem) and item.name.text == member.name
        )
        annotation = place.at(node) if node else None
        at = member.symbol.location
        session.report(ContainsItself(at, symbol.location, way, spell(member.type), annotation))
        return


def _required_way(session: Session, kind: Type, goal: str, seen: tuple[str, ...]) -> tuple[str, ...] | None:
    if not isinstance(kind, RecordRef) or kind.name in seen:
        return None
    if kind.name == goal:
        return seen
    group = records_lookup(session)(kind.name)
    for member in group.members.values() if group else ():
        way = _required_way(session, member.type, goal, (*seen, kind.name))
        if way is not None:
            return way
    return None
