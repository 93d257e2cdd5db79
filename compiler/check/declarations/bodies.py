"""Reads the items of a program's body, and of the repetitions in it, one after the other: every `let` is a step."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.grammar.tree import CheckItem, Item, Let, Name, Reference, Repeat, Setting, Until
from dspec.runtime.running.bounds import MAX_CALLS
from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.schema.program import CheckStep, RepeatStep, Step, ValueStep
from dspec.runtime.schema.types import ListOf
from dspec.runtime.values.interpret import names

from ...diagnostics import codes
from ...project.source import Location
from ..expressions.infer import infer, truth
from ..expressions.scope import Binding, Scope, Typed
from ..symbols import Symbol
from ..types.kinds import (
    ANY,
    Group,
    GroupList,
    Kind,
    MemberRead,
    assignable,
    is_unknown,
    join,
    joined,
    list_of,
    named_value,
    spell,
)
from .callees import Called, Callees
from .records import check_item


class LetRead(Struct, frozen=True):
    """A value that a `let` gave. `paid` is the call that made it or, if its expression holds calls, the first of them."""

    symbol: Symbol
    paid: Called | None


class GivenAnew(Struct, frozen=True):
    """The new value that a round gives to a name of the repetition's state."""

    kind: Kind
    step: str
    where: Location


class RoundRead(Struct):
    """A round of a repetition that is being read: the state by name, and what the round has given anew."""

    state: Mapping[str, Kind]
    given: dict[str, GivenAnew] = field(default_factory=dict[str, GivenAnew])


class BodyReader(Struct):
    """A program's items as they are read."""

    callees: Callees
    lets: list[LetRead] = field(default_factory=list[LetRead])

    def read(self, scope: Scope, items: tuple[Item, ...], turn: RoundRead | None = None) -> Scope:
        """Read the `let`s and checks in order; gives the scope at the end. `turn` is the round they stand in."""
        for item in items:
            match item:
                case CheckItem():
                    _check(scope, item)
                case Setting():  # a `let` that lacks its word, as the shape's check says
                    self.callees.runs = False
                    name = item.name.text
                    scope = scope.having(name, Binding(ANY, Variable(name=name)))
                case Let():
                    scope = self._let(scope, item, turn)
                case Repeat():
                    scope = self._repeat(scope, item, turn)
                case _:
                    pass
        return scope

    def _let(self, scope: Scope, item: Let, turn: RoundRead | None) -> Scope:
        assert scope.block is not None
        name = _step_name(scope, item.name, turn)
        before = len(self.callees.calls)
        typed = infer(replace(scope, let=(item.value, name)), item.value)
        steps = scope.block.steps
        made = bool(steps) and _name(steps[-1]) == name
        if not made:
            scope.block.add(ValueStep(name=name, value=typed.code))
        paid = self.callees.calls[before:] if made else []
        bound = self._bound(scope, item.name, name, typed, paid, turn)
        return bound.naming(item.name.text, item.value)

    def _bound(
        self, scope: Scope, node: Name, step: str, typed: Typed, paid: list[Called], turn: RoundRead | None
    ) -> Scope:
        """The scope with the name of a new value in it. `paid` are the calls that the value is or holds."""
        name, session, place = node.text, scope.session, scope.place
        symbol = session.declare(place, "let", name, node, detail=spell(typed.kind))
        code = Variable(name=step)
        first = scope.names.get(name)
        if turn is not None and name in turn.state:
            if name in turn.given:
                session.report(codes.repeats.ValueTwice(place.at(node), turn.given[name].where))
            turn.given[name] = GivenAnew(typed.kind, step, place.at(node))
            return scope.having(
                name, Binding(typed.kind, code, symbol, length=typed.length, unsure=typed.unsure)
            )
        if first is not None:
            if first.symbol is not None:
                session.report(codes.repeats.ValueTwice(place.at(node), first.symbol.location))
            return scope.having(name, Binding(ANY, code, symbol))
        direct = next((call for call in paid if call.step == step), None)
        self.lets.append(LetRead(symbol, direct or next(iter(paid), None)))
        return scope.having(name, Binding(typed.kind, code, symbol, length=typed.length, unsure=typed.unsure))

    def _repeat(self, scope: Scope, item: Repeat, turn: RoundRead | None) -> Scope:
        block, session, place = scope.block, scope.session, scope.place
        assert block is not None
        times = item.times.value
        if not isinstance(times, int) or not 1 <= times <= MAX_CALLS:
            session.report(codes.syntax.OutOfRange(place.at(item.times), "repeat", 1, MAX_CALLS))
            times = 1
        name = _step_name(scope, item.name, turn)
        before = len(self.callees.calls)
        start, turn_inside, reads = _state(scope, item)
        inner = scope.apart()
        for state, kind in turn_inside.state.items():
            known = scope.names[state].symbol
            inner = inner.having(state, Binding(kind, Variable(name=state), known))
        steps, until, last, then = self._round(inner, item, turn_inside)
        again: dict[str, Expression] = {
            state: Variable(name=given.step) for state, given in turn_inside.given.items()
        }
        block.add(
            RepeatStep(
                name=name,
                times=times,
                start=start,
                steps=steps,
                until=until,
                then=then,
                again=again,
                last=last,
                value=Variable(name=next(iter(start))) if len(start) == 1 else None,
            )
        )
        kinds = {state: _after(scope, state, turn_inside, reads[state]) for state in turn_inside.state}
        anew = {*turn_inside.given, *(one.name.text for one in item.items if isinstance(one, Setting))}
        for node in item.state:
            if node.text in kinds and node.text not in anew and not place.block.problems:
                session.report(codes.programs.StaysTheSame(place.at(node)))
        kind: Kind = ANY
        if len(kinds) == 1:
            (kind,) = kinds.values()
        elif kinds:
            members = {
                state: named_value(state, kind, scope.names[state].symbol) for state, kind in kinds.items()
            }
            kind = Group(f"the values of `{item.name.text}`", members, "value")
        return self._bound(scope, item.name, name, Typed(kind), self.callees.calls[before:], turn)

    def _round(
        self, scope: Scope, item: Repeat, turn: RoundRead
    ) -> tuple[tuple[Step, ...], Expression | None, dict[str, Expression], tuple[Step, ...]]:
        """The steps of a round before its `until`, the condition, the state if the repetition ends there, and the steps
        after it."""
        assert scope.block is not None
        places = [place for place, each in enumerate(item.items) if isinstance(each, Until)]
        end = places[0] if places else len(item.items)
        scope = self.read(scope, item.items[:end], turn)
        if not places:
            return tuple(scope.block.steps) if scope.block else (), None, {}, ()
        first, *others = (each for each in item.items if isinstance(each, Until))
        until = truth(scope, first.condition, "`until`")
        for other in others:
            scope.session.report(codes.attributes.UntilTwice(scope.place.at(other), scope.place.at(first)))
        assert scope.block is not None
        steps = tuple(scope.block.steps)
        last: dict[str, Expression] = {
            state: Variable(name=given.step) for state, given in turn.given.items()
        }
        rest = replace(scope, block=scope.block.inner())
        rest = self.read(rest, item.items[end + 1 :], turn)
        assert rest.block is not None
        return steps, until, last, tuple(rest.block.steps)

    def report_unused(self, scope: Scope, inputs: Mapping[str, Symbol]) -> None:
        """Warn of calls that are paid for nothing and of other values that nothing reads."""
        session = scope.session
        read = {id(use.symbol) for use in session.uses}
        assert scope.block is not None
        every_run = all(step.kind in ("call", "value", "check") for step in scope.block.steps)
        per_run = len(self.callees.calls) if every_run else 0
        unread = [one for one in self.lets if id(one.symbol) not in read]
        for one in unread:
            if one.paid is not None:
                at = scope.place.at(one.paid.node)
                session.report(
                    codes.programs.PaidForNothing(at, one.paid.callee.name, one.symbol.name, per_run)
                )
        for symbol in inputs.values():
            if id(symbol) not in read:
                session.report(codes.names.UnusedValue(symbol.location, "input"))
        for one in unread:
            if one.paid is None:
                session.report(codes.names.UnusedValue(one.symbol.location, "value"))


def _name(step: Step) -> str:
    return "" if isinstance(step, CheckStep) else step.name


def _step_name(scope: Scope, node: Name, turn: RoundRead | None) -> str:
    """The name of a `let`'s step. A value that a round gives anew must not hide the state that it is made from."""
    assert scope.block is not None
    name = node.text
    return scope.block.free_name(name) if turn is not None and name in turn.state else name


def _check(scope: Scope, item: CheckItem) -> None:
    assert scope.block is not None
    check = check_item(scope, item)
    calls = scope.block.sources(names(check.condition) | names(check.message))
    scope.block.add(CheckStep(check=check, blames=scope.block.latest(calls)))


def _state(
    scope: Scope, item: Repeat
) -> tuple[dict[str, Expression], RoundRead, dict[str, list[MemberRead]]]:
    """The state before the first round, the round with its kinds, and where members of it will be read."""
    session, place = scope.session, scope.place
    start: dict[str, Expression] = {}
    kinds: dict[str, Kind] = {}
    reads: dict[str, list[MemberRead]] = {}
    first: dict[str, Name] = {}
    known = {name: binding.symbol for name, binding in scope.names.items() if binding.sure}
    for node in item.state:
        name = node.text
        session.seek(node, (), known)
        if name in first:
            session.report(codes.attributes.GivenTwice(place.at(node), name, place.at(first[name])))
            continue
        first[name] = node
        typed = infer(scope, Reference(node.span, node))
        if name in scope.names:
            start[name], reads[name] = typed.code, []
            kinds[name] = _watched(typed.kind, reads[name])
    return start, RoundRead(kinds), reads


def _watched(kind: Kind, reads: list[MemberRead]) -> Kind:
    """The kind of a state that adds to `reads` each of its members that is read."""
    if isinstance(kind, GroupList):
        item = _watched(kind.item, reads)
        return list_of(item) if isinstance(item, Group) else kind
    return replace(kind, watched=(*kind.watched, reads)) if isinstance(kind, Group) else kind


def _after(scope: Scope, name: str, turn: RoundRead, reads: list[MemberRead]) -> Kind:
    """The kind of a state after the rounds, of which there may be none. Reports a round that does not keep the kind."""
    before = scope.names[name].kind
    given = turn.given.get(name)
    if given is None or is_unknown(before) or is_unknown(given.kind):
        return before
    if isinstance(before, Group):
        lost = {read.name: read for read in reads if not _stays(before, given.kind, read.name)}
        for read in reads:
            if lost.get(read.name) is read:
                scope.session.report(codes.programs.LostMember(read.where, read.name, name, given.where))
        kind = joined(before, given.kind)
    else:
        fits = (
            assignable(given.kind, before)
            if not isinstance(given.kind, GroupList)
            else before == ListOf(item=ANY)
        )
        kind = None if not fits else given.kind if isinstance(given.kind, Group) else join(before, given.kind)
    if kind is None:
        scope.session.report(codes.programs.StateDiffers(given.where, name, spell(before), spell(given.kind)))
        return ANY
    return kind


def _stays(before: Group, after: Kind, member: str) -> bool:
    """Whether the value that takes a group's place has the member, too, and of a type that fits."""
    if isinstance(before, GroupList):
        return isinstance(after, GroupList) and _stays(before.item, after.item, member)
    if not isinstance(after, Group) or member not in after.members or member not in before.members:
        return False
    one, other = before.members[member], after.members[member]
    if one.group is not None:
        return other.group is not None
    return assignable(other.kind, one.type)
