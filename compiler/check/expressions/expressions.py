"""Values in expressions: literals, names, members, items, lists and choices between them."""

from __future__ import annotations

import re

from msgspec.structs import replace

from dspec.grammar.tree import (
    Attribute,
    Call,
    Comprehension,
    Conditional,
    Expr,
    Index,
    InlineSignature,
    ListLiteral,
    Literal,
    Name,
    Percent,
    Reference,
    Span,
    Unary,
)
from dspec.runtime.schema.expressions import (
    Constant,
    Expression,
    ForEach,
    Item,
    ListOfItems,
    UnaryOp,
    Variable,
)
from dspec.runtime.schema.expressions import Member as MemberOf
from dspec.runtime.schema.program import EachStep
from dspec.runtime.schema.types import (
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    TupleOf,
)

from ...diagnostics import codes
from ..names.names import find, is_open, unknown
from ..types.kinds import (
    ANY,
    BOOL,
    CALLABLE,
    FLOAT,
    INT,
    NONE,
    STR,
    Group,
    GroupList,
    Kind,
    MemberRead,
    is_number,
    is_unknown,
    iterated,
    join,
    joined,
    list_of,
    plain_number,
    shared_fields,
    spell,
)
from .blocks import Side, calls_in
from .infer import decided, expect, infer, needed, one_value, rule, truth
from .mistakes import not_a_value, unknown_value
from .presence import never_empty, present
from .scope import Binding, Endless, Length, Scope, Typed

_BRACES = re.compile(r"\{(\w+)(?:\.\w+){0,8}\}")
"""What other languages put into a text by its name."""
_LITERALS: dict[type, Kind] = {bool: BOOL, int: INT, float: FLOAT, str: STR}


@rule(Literal)
def _literal(scope: Scope, node: Literal) -> Typed:
    if isinstance(node.value, str) and "{" in node.value:
        for braces in _BRACES.finditer(node.value):
            if braces[1] in scope.names:
                scope.session.report(
                    codes.types.BracesInText(scope.place.at(node), braces[0], braces[0][1:-1])
                )
                break
    return Typed(_LITERALS.get(type(node.value), NONE), Constant(value=node.value))


@rule(Percent)
def _percent(scope: Scope, node: Percent) -> Typed:
    scope.session.report(codes.operators.ShareOfRows(scope.place.at(node), node.value / 100, scope.purpose))
    return Typed(FLOAT)


@rule(InlineSignature)
def _inline_signature(scope: Scope, node: InlineSignature) -> Typed:
    scope.session.report(codes.operators.NoValue(scope.place.at(node), "signature", scope.purpose))
    return Typed(ANY)


@rule(Reference)
def _reference(scope: Scope, node: Reference) -> Typed:
    name = node.name
    binding = scope.names.get(name.text)
    if binding is not None:
        scope.session.use(scope.place, name, binding.symbol)
        scope.reads.add(name.text)
        unsure = None if scope.holds(node) else binding.unsure
        return Typed(_known(scope, node, binding.kind), binding.code, binding.length, unsure)
    symbol = find(scope.session, scope.place, node)
    if symbol is None:
        unknown_value(scope, node)
    else:
        not_a_value(scope, node, symbol)
    return Typed(ANY)


@rule(Attribute)
def _attribute(scope: Scope, node: Attribute) -> Typed:
    target, name = node.target, node.name
    if (
        isinstance(target, Reference)
        and target.name.text not in scope.names
        and target.name.text in scope.place.scope.imports
    ):
        symbol = find(scope.session, scope.place, node)
        if symbol is None and not is_open(scope.place, node) and name is not None:
            unknown(scope.session, scope.place, node, (target.name, name), scope.callable or CALLABLE)
        elif symbol is not None:
            not_a_value(scope, node, symbol)
        return Typed(ANY)
    typed = infer(scope, target)
    if name is not None:
        needed(scope, target, typed, f"`.{name.text}`")
    if name is None:
        return Typed(ANY)  # still being typed; the parser has said so
    group = members_of(scope, typed.kind)
    code = MemberOf(target=typed.code, name=name.text)
    if group is None:
        if not is_unknown(typed.kind):
            items = isinstance(typed.kind, ListOf | GroupList)
            at, of = scope.place.at(name), scope.place.text(target)
            scope.session.report(
                codes.calls.HasNoFields(at, of, spell(typed.kind), items, _is_extern_call(scope, target))
            )
        return Typed(ANY, code)
    member = group.members.get(name.text)
    if member is None:
        if not group.open:
            at, of = scope.place.at(name), scope.place.text(target)
            if _of_some(scope, typed.kind, name, of):
                return Typed(ANY, code)
            members = tuple((each.name, each.location) for each in group.members.values())
            kinds = {
                "gold": codes.metrics.UnknownColumn,
                "pred": codes.metrics.UnknownOutput,
                "baseline": codes.project.UnknownResult,
                "": codes.calls.UnknownField,
            }
            there = name.text in group.elsewhere
            scope.session.report(kinds[group.role](at, of, group.owner, group.noun, members, there))
        return Typed(ANY, code)
    scope.session.use(scope.place, name, member.symbol)
    for reads in group.watched:
        reads.append(MemberRead(name.text, scope.place.at(name)))
    if member.group is not None:
        return Typed(member.group, code)
    optional = isinstance(typed.kind, OptionalOf) and not isinstance(member.type, OptionalOf)
    return Typed(_known(scope, node, OptionalOf(item=member.type) if optional else member.type), code)


def _of_some(scope: Scope, kind: Kind, name: Name, of: str) -> bool:
    """Report a field that not all records of a union have, or not with types that agree."""
    union = kind.item if isinstance(kind, OptionalOf) else kind
    if not isinstance(union, OneOfRecords):
        return False
    if any(
        isinstance(found, codes.types.NotInUnion) and found.what == f"`{of}.{union.tag}`"
        for found in scope.session.findings
    ):
        return True  # which record was meant is reported already
    groups = {key: group for key in union.records if (group := scope.records(key)) is not None}
    owners = [key for key, group in groups.items() if name.text in group.members]
    if not owners:
        return False
    tag = groups[owners[0]].members.get(union.tag)
    values = tag.type.values if tag is not None and isinstance(tag.type, OneOf) else ("",)
    places = tuple((key, groups[key].members[name.text].location) for key in owners)
    scope.session.report(
        codes.shapes.OfSomeRecords(
            scope.place.at(name), of, places, union.tag, values[0], len(owners) == len(union.records)
        )
    )
    return True


def _is_extern_call(scope: Scope, node: Expr) -> bool:
    symbol = find(scope.session, scope.place, node.callee) if isinstance(node, Call) else None
    return symbol is not None and symbol.kind == "extern"


def _known(scope: Scope, node: Expr, kind: Kind) -> Kind:
    """The kind without its `?` where a condition has asked whether the value is there; of a union of records those that
    it may be."""
    if isinstance(kind, OptionalOf) and scope.holds(node):
        kind = kind.item
    union = kind.item if isinstance(kind, OptionalOf) else kind
    if not isinstance(union, OneOfRecords) or (told := scope.may_be(node, union)).records == union.records:
        return kind
    left = told.records
    found = RecordRef(name=left[0]) if len(left) == 1 else OneOfRecords(tag=union.tag, records=left)
    return OptionalOf(item=found) if isinstance(kind, OptionalOf) and not told.there else found


def members_of(scope: Scope, kind: Kind) -> Group | None:
    """What can stand after the dot: a group's members or a record's fields."""
    if isinstance(kind, GroupList):
        return None
    if isinstance(kind, Group):
        return kind
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    if isinstance(inner, OneOfRecords):
        return shared_fields(inner, scope.records)
    return scope.records(inner.name) if isinstance(inner, RecordRef) else None


@rule(Index)
def _index(scope: Scope, node: Index) -> Typed:
    target, index = node.target, node.index
    typed = infer(scope, target)
    if isinstance(typed.kind, Group) or is_unknown(typed.kind) or _has_items(typed.kind):
        needed(scope, target, typed, "an index")  # what has no items is reported as that alone
    unsure = None if _is_there(scope, node, typed.length) else scope.place.at(node)
    if isinstance(typed.kind, GroupList):
        code = Item(target=typed.code, index=expect(scope, index, INT, "a list's index"))
        return Typed(typed.kind.item, code, unsure=unsure)
    kind, code = one_value(scope, target, typed, "an index")
    if isinstance(kind, OptionalOf):
        kind = kind.item
    match kind:
        case ListOf(item=item):
            found = Item(target=code, index=expect(scope, index, INT, "a list's index"))
            return Typed(item, found, unsure=None if isinstance(item, OptionalOf) else unsure)
        case TupleOf(items=items):
            place = _written_index(index)
            if place is not None and -len(items) <= place < len(items):
                return Typed(items[place], Item(target=code, index=expect(scope, index, INT, "an index")))
            infer(scope, index)
            scope.session.report(
                codes.shapes.NotInTuple(scope.place.at(index), len(items), place is not None)
            )
            return Typed(ANY)
        case DictOf(key=key, value=found):
            item = Item(target=code, index=expect(scope, index, key, "a dict's key"))
            return Typed(found, item, unsure=None if isinstance(found, OptionalOf) else unsure)
        case _:
            inner = infer(scope, index)
            if not is_unknown(kind):
                scope.session.report(codes.operators.WrongOperand(scope.place.at(target), "[]", spell(kind)))
            return Typed(ANY, Item(target=code, index=inner.code))


def _has_items(kind: Kind) -> bool:
    return isinstance(kind.item if isinstance(kind, OptionalOf) else kind, ListOf | DictOf | TupleOf)


def _written_index(node: Expr) -> int | None:
    match node:
        case Literal(value=int() as place) if not isinstance(place, bool):
            return place
        case Unary(operator="-", operand=Literal(value=int() as place)) if not isinstance(place, bool):
            return -place
        case _:
            return None


def _is_there(scope: Scope, node: Index, length: Length | None) -> bool:
    """Whether nothing is to be said of an item: the list has so many, a condition has asked, or whoever calls the program
    decides how long its input is."""
    if scope.holds(node) or _is_given(scope, node.target):
        return True
    least = max(int(never_empty(node.target)), length.least if length is not None else 0)
    match node.index:
        case Literal(value=int() as place):
            return place < least
        case Unary(operator="-", operand=Literal(value=int() as place)):
            return place <= least
        case _:
            return False


def _is_given(scope: Scope, node: Expr) -> bool:
    """Whether it is an input of the program, or a part of one."""
    while isinstance(node, Attribute | Index):
        node = node.target
    binding = scope.names.get(node.name.text) if isinstance(node, Reference) else None
    if binding is None or binding.symbol is None or isinstance(binding.kind, Group):
        return False
    return binding.symbol.kind == "parameter"


@rule(Unary)
def _unary(scope: Scope, node: Unary) -> Typed:
    if node.operator == "not":
        return Typed(
            BOOL, UnaryOp(operator="not", operand=truth(scope, node.operand, "the operand of `not`"))
        )
    typed = needed(scope, node.operand, infer(scope, node.operand), "`-`")
    if isinstance(node.operand, Literal) and isinstance(node.operand.value, int | float):
        return Typed(typed.kind, Constant(value=-node.operand.value))
    if isinstance(typed.kind, OneOfNumbers):
        return Typed(plain_number(typed.kind), UnaryOp(operator="-", operand=typed.code))
    if not (is_number(typed.kind) or is_unknown(typed.kind)):
        scope.session.report(
            codes.operators.WrongOperand(scope.place.at(node.operand), "-", spell(typed.kind))
        )
        return Typed(ANY)
    return Typed(typed.kind, UnaryOp(operator="-", operand=typed.code))


@rule(Conditional)
def _conditional(scope: Scope, node: Conditional) -> Typed:
    condition, consequence, alternative = node.condition, node.consequence, node.alternative
    test = truth(scope, condition, "the condition of `if`")
    first = scope.apart().knowing(present(condition, True, scope.meant))
    second = scope.apart().knowing(present(condition, False, scope.meant))
    then, other = infer(first, consequence), infer(second, alternative)
    kind = join(then.kind, other.kind) if scope.block is None else joined(then.kind, other.kind)
    if kind is None:
        picks = tuple(
            f"{scope.place.text(node)}.{name}"
            for node, one in ((consequence, then.kind), (alternative, other.kind))
            if isinstance(one, Group) and isinstance(node, Reference)
            for name in one.members
        )
        at, left = scope.place.at(alternative), scope.operand(consequence, then.kind)
        scope.session.report(codes.types.BranchesDiffer(at, left, spell(other.kind), picks))
    length = None
    if then.length is not None and other.length is not None:
        length = Length(min(then.length.least, other.length.least), max(then.length.most, other.length.most))
    sides = Side(first.block, then.code), Side(second.block, other.code)
    code = decided(scope, node, test, *sides)
    return Typed(ANY if kind is None else kind, code, length, then.unsure or other.unsure)


@rule(ListLiteral)
def _list(scope: Scope, node: ListLiteral) -> Typed:
    kind: Kind = ANY
    lowered: list[Expression] = []
    for item in node.items:
        got = needed(scope, item, _element(scope, item), "an item of a list")
        lowered.append(got.code)
        both = joined(kind, got.kind)
        if both is None:
            scope.session.report(codes.types.ItemDiffers(scope.place.at(item), spell(got.kind), spell(kind)))
        else:
            kind = both
    length = Length(len(lowered), len(lowered))
    return Typed(list_of(kind), ListOfItems(items=tuple(lowered)), length)


def _element(scope: Scope, node: Expr) -> Typed:
    """An item of a list: one value, or in a program a group, since a fan-out makes lists of these."""
    typed = infer(scope, node)
    if scope.block is not None:
        return typed
    kind, code = one_value(scope, node, typed, "an item of a list")
    return Typed(kind, code, unsure=typed.unsure)


@rule(Comprehension)
def _comprehension(scope: Scope, node: Comprehension) -> Typed:
    source = needed(scope, node.iterable, infer(scope, node.iterable), "`for`")
    endless = scope.endless
    if source.length is None and endless is None:
        endless = Endless(scope.place.at(node.iterable), node.of is not None)
    times = (1 if scope.times is None else scope.times) * (source.length.most if source.length else 1)
    inner = replace(scope.apart(), times=times, endless=endless)
    for name, kind in _loop_names(scope, node, source.kind):
        variable = scope.session.declare(scope.place, "variable", name.text, name, detail=spell(kind))
        inner = inner.having(name.text, Binding(kind, Variable(name=name.text), variable))
    element = needed(inner, node.element, _element(inner, node.element), "an item of a list")
    kind = list_of(element.kind)
    if inner.block is None or not inner.block.steps:
        of = None if node.of is None else node.of.text
        code = ForEach(element=element.code, variable=node.variable.text, iterable=source.code, of=of)
        return Typed(kind, code, source.length)
    assert scope.block is not None
    if source.length is None and not (is_unknown(source.kind) and scope.session.amiss):
        calls = tuple(dict.fromkeys(calls_in(inner.block.steps)))
        at = scope.place.at(node.iterable)
        scope.session.report(codes.programs.CallsNotCounted(at, calls, keys=node.of is not None))
    least, most = source.length or (0, 0)
    name = scope.step_name(node, "for")
    scope.block.add(
        EachStep(
            name=name,
            variable=node.variable.text,
            iterable=source.code,
            least=least,
            most=most,
            body=inner.block.nested(element.code),
        )
    )
    return Typed(kind, Variable(name=name), source.length)


def _loop_names(scope: Scope, node: Comprehension, kind: Kind) -> list[tuple[Name, Kind]]:
    """The names of a loop and what they are: an item of a list, or a key of a dict and what it has there."""
    pairs = kind if isinstance(kind, DictOf) else None
    item = iterated(kind)
    if not is_unknown(kind) and (item is None if node.of is None else pairs is None):
        written = Span(node.variable.span.start, (node.of or node.variable).span.end)
        at, names = scope.place.at(node.iterable), scope.place.at(written)
        shape: codes.operators.Looped = "dict" if pairs else "list" if item is not None else ""
        scope.session.report(codes.operators.LoopDiffers(at, spell(kind), names, node.variable.text, shape))
    if node.of is None:
        return [(node.variable, ANY if item is None else item)]
    if node.of.text == node.variable.text:
        scope.session.report(
            codes.repeats.LoopNameTwice(scope.place.at(node.of), scope.place.at(node.variable))
        )
    key, found = (STR, ANY) if pairs is None else (pairs.key, pairs.value)
    return [(node.variable, key), (node.of, found)]
