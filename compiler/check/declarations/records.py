"""`record` declarations: fields, checks, and records that could never end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from dspec.grammar.tree import Call, CheckItem, Doc, Expr, FieldItem, Item, Parameter, Reference, TypeNode
from dspec.grammar.tree import Literal as LiteralNode
from dspec.runtime.schema.expressions import Constant, Expression
from dspec.runtime.schema.program import Check, FieldSpec, Record
from dspec.runtime.schema.types import JsonValue, ListOf, OptionalOf, RecordRef, Scalar, Type

from ...diagnostics import codes
from ...tables.block_specs import SymbolKind
from ..expressions.infer import expect, truth
from ..expressions.scope import Scope, bindings
from ..names.names import find
from ..session import Place, Session
from ..shape.literals import literal_value
from ..symbols import Symbol
from ..types.kinds import ANY, STR, Group, NamedValue, beyond_text, spell
from ..types.typenames import resolve_type
from .bases import base_of, is_whole, report_circle, with_base

Role = Literal["input", "output", "field"]
NO_MEMBERS: Mapping[str, NamedValue] = MappingProxyType({})
NO_SPECS: Mapping[str, FieldSpec] = MappingProxyType({})


def doc_of(items: tuple[Item, ...] | None) -> str:
    return next((item.text for item in items or () if isinstance(item, Doc)), "")


def fields(session: Session, place: Place, role: Role) -> dict[str, NamedValue]:
    """The `input`, `output` or `field` items of a block, each name once."""
    kind = "column" if place.declaration.keyword.text == "dataset" else role
    items = place.declaration.items or ()
    found = [item for item in items if isinstance(item, FieldItem) and item.role == role]
    return members(session, place, found, role, kind)


def fields_beside(
    session: Session, symbol: Symbol, role: Literal["output", "field"], inputs: Mapping[str, NamedValue]
) -> dict[str, NamedValue]:
    """The `output` or `field` items of a declaration that has `inputs`; reports a name that is among those."""
    found: dict[str, NamedValue] = {}
    for member in fields(session, session.place(symbol), role).values():
        first = inputs.get(member.name)
        if first and first.symbol and member.symbol:
            session.report(
                codes.repeats.TwoRoles(member.symbol.location, symbol.name, role, first.symbol.location)
            )
            continue
        found[member.name] = member
    return found


def parameters(
    session: Session,
    place: Place,
    nodes: Iterable[Parameter],
    role: Literal["input", "output"],
    taken: Mapping[str, NamedValue] = NO_MEMBERS,
) -> dict[str, NamedValue]:
    """Parameters of a header or of `sig(...)`, each name once."""
    return members(session, place, nodes, role, "output" if role == "output" else "parameter", taken)


def members(
    session: Session,
    place: Place,
    nodes: Iterable[FieldItem | Parameter],
    role: Role,
    kind: SymbolKind,
    taken: Mapping[str, NamedValue] = NO_MEMBERS,
) -> dict[str, NamedValue]:
    found: dict[str, NamedValue] = {}
    for node in nodes:
        name = node.name.text
        type_ = resolve_type(session, place, node.type) if node.type else STR
        if node.type and beyond_text(type_) and not may_stand(session, place, node.type, type_, role, kind):
            type_ = ANY
        doc = (node.description or "") if isinstance(node, FieldItem) else ""
        symbol = session.declare(place, kind, name, node.name, doc, spell(type_))
        first = found.get(name) or taken.get(name)
        if first and first.symbol:
            session.report(codes.repeats.ItemTwice(place.at(node.name), role, first.symbol.location))
            continue
        default = None if kind == "column" and column_call(node.default) else node.default
        found[name] = NamedValue(name, type_, symbol, default, doc)
    return found


def may_stand(
    session: Session, place: Place, node: TypeNode, type_: Type, role: Role, kind: SymbolKind
) -> bool:
    """Whether a type that only inputs have may stand where it does; reports it where not."""
    word = beyond_text(type_)
    holder: codes.media.Holder | None = None
    if role != "input":
        holder = "output" if role == "output" else "column" if kind == "column" else "field"
    elif place.declaration.keyword.text == "extern":
        holder = "extern"
    if holder is not None:
        session.report(codes.media.OnlyAnInput(place.at(node), word, holder))
        return False
    plain = type_.item if isinstance(type_, OptionalOf) else type_
    if isinstance(plain, ListOf) and word != "history":
        plain = plain.item
    if isinstance(plain, Scalar):
        return True
    session.report(codes.media.WrongInside(place.at(node), word))
    return False


def one_history(session: Session, inputs: Collection[NamedValue]) -> None:
    """Report a second history among a signature's inputs, and one without any input beside it."""
    first, *others = [one for one in inputs if beyond_text(one.type) == "history"] or [None]
    if first is not None and first.symbol and len(inputs) == 1 and not first.symbol.block.problems:
        session.report(codes.media.HistoryAlone(first.symbol.location, first.name))
    for one in others:
        if one is not None and one.symbol and first is not None:
            session.report(codes.media.SecondHistory(one.symbol.location, first.location))


def column_call(node: Expr | None) -> Call | None:
    """`column("…")` in a default's place: what the source calls a column."""
    if isinstance(node, Call) and isinstance(node.callee, Reference) and node.callee.name.text == "column":
        return node
    return None


def typeless(place: Place) -> frozenset[str]:
    """The fields of a block that say no type."""
    items = place.declaration.items or ()
    return frozenset(item.name.text for item in items if isinstance(item, FieldItem) and item.type is None)


def field_specs(
    session: Session,
    place: Place,
    members: Iterable[NamedValue],
    known: Mapping[str, FieldSpec] = NO_SPECS,
    inherited: Mapping[str, NamedValue] = NO_MEMBERS,
) -> tuple[FieldSpec, ...]:
    """Runtime fields, with their defaults checked. The `inherited` ones are `known` already."""
    return tuple(
        known[member.name]
        if member.name in known and inherited.get(member.name) is member
        else FieldSpec(
            name=member.name,
            type=member.type,
            description=member.description,
            has_default=member.has_default,
            default=_default(session, place, member.default, member) if member.default is not None else None,
        )
        for member in members
    )


def _default(session: Session, place: Place, node: Expr, member: NamedValue) -> JsonValue:
    """A default must be a literal of the field's type."""
    medium = beyond_text(member.type)
    if medium and not (isinstance(node, LiteralNode) and node.value is None):
        session.report(codes.types.NoDefaultOf(place.at(node), member.name, medium))
        return None
    scope = Scope(session, place, {}, "a default")
    code = expect(scope, node, member.type, f"the default of `{member.name}`", member.symbol)
    return literal_value(session, place, node, code, member.name)


def checks(place: Place, scope: Scope) -> tuple[Check, ...]:
    """The `assert` and `suggest` items of a block of fields, their conditions read in `scope`.

    A prompt says beforehand what an `assert` demands: its message, or where that depends on the answer or is not given,
    the condition as it is written.
    """
    found: list[Check] = []
    for item in place.declaration.items or ():
        if isinstance(item, CheckItem):
            check = check_item(scope, item)
            if item.kind == "assert":
                given = check.message if item.message is not None else None
                words = given.value if isinstance(given, Constant) else None
                told = words if isinstance(words, str) else scope.place.text(item.condition)
                check = check.model_copy(update={"told": " ".join(told.split())})
            found.append(check)
    return tuple(found)


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
    own = fields(session, place, "field")
    base = base_of(session, place, "record")
    below = record_fields(session, base) if base is not None else None
    if base is not None and below is None:
        report_circle(session, place)
    found = with_base(session, base, below.members if below else NO_MEMBERS, own, typeless(place))
    whole = is_whole(place, ("field",), based=below is not None and not below.open)
    return Group(f"the fields of `{symbol.name}`", found, "field", open=not whole)


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
    parent = _base_record(session, place)
    inherited = (record_fields(session, parent[0]) if parent else None) or Group("nothing", {})
    known = {field.name: field for field in parent[1].fields} if parent else {}
    empty = not any(isinstance(item, FieldItem) for item in place.declaration.items or ())
    if (
        empty
        and place.declaration.base is None
        and place.declaration.items is not None
        and not place.block.problems
    ):
        session.report(codes.types.Lacks(symbol.location, "field", "record"))
    scope = Scope(session, place, bindings(members), "a record's check", records=records_lookup(session))
    return Record(
        name=symbol.key,
        description=doc_of(place.declaration.items) or (parent[1].description if parent else ""),
        fields=field_specs(session, place, members, known, inherited.members),
        checks=(parent[1].checks if parent else ())
        + (checks(place, scope) if place.block.problems or not group.open else ()),
    )


def _base_record(session: Session, place: Place) -> tuple[Symbol, Record] | None:
    base = place.declaration.base
    symbol = find(session, place, base) if base is not None else None
    found = record(session, symbol) if symbol is not None and symbol.kind == "record" else None
    return None if symbol is None or found is None else (symbol, found)


def check_endless(session: Session, symbol: Symbol) -> None:
    """Report a field through which every value of the record would need another one inside. This looks at other records,
    which nobody needs who only wants to know what a record is."""
    session.once(_check_endless, symbol)


def _check_endless(session: Session, symbol: Symbol) -> bool:
    group = record_fields(session, symbol)
    for member in group.members.values() if group else ():
        if session.in_circle((symbol.key,)):
            return False
        way = _required_way(session, member.type, symbol.key)
        if way is None or member.symbol is None:
            continue
        session.circle((symbol.key, *way))
        place = session.place(symbol)
        node = next(
            (
                item.type
                for item in place.declaration.items or ()
                if isinstance(item, FieldItem) and item.name.text == member.name
            ),
            None,
        )
        annotation = place.at(node) if node else None
        at = member.symbol.location
        session.report(codes.types.ContainsItself(at, symbol.location, way, spell(member.type), annotation))
        return False
    return True


def _required_way(session: Session, kind: Type, goal: str) -> tuple[str, ...] | None:
    """The chain of records from a field of this type to `goal`, in which each value needs one of the next record; None
    where there is no such chain. Each record is looked at once, and one found to be finite is in `session.ending`, so
    that no later search looks at it."""
    if not isinstance(kind, RecordRef) or session.ends(kind.name):
        return None
    if kind.name == goal:
        return ()
    seen = {kind.name}
    way = [kind.name]
    ahead = [_needed(session, kind.name)]
    endless: set[str] = set()
    """Records on the way that need one already seen: that one may make them endless."""
    while way:
        name = next(ahead[-1], None)
        if name is None:
            ahead.pop()
            done = way.pop()
            if done not in endless:
                session.ending[done] = session.at_work
            elif way:
                endless.add(way[-1])
        elif name == goal:
            return tuple(way)
        elif name in seen:
            if not session.ends(name):
                endless.add(way[-1])
        elif not session.ends(name):
            seen.add(name)
            way.append(name)
            ahead.append(_needed(session, name))
    return None


def _needed(session: Session, name: str) -> Iterator[str]:
    """Records that every value of this one has inside."""
    group = records_lookup(session)(name)
    for member in group.members.values() if group else ():
        if isinstance(member.type, RecordRef):
            yield member.type.name
