"""Makes a step of each call in a program, and brings together the tables of all that the program calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from dspec.grammar.tree import Attribute, Call, Name, Node, Reference
from dspec.grammar.walk import children
from dspec.runtime.schema.expressions import Constant, Expression, Variable
from dspec.runtime.schema.program import (
    CallStep,
    RunStep,
    Step,
    ToolStep,
)
from dspec.runtime.schema.types import OptionalOf

from ...diagnostics import codes
from ...diagnostics.record import Label
from ..expressions.infer import expect, infer
from ..expressions.scope import Scope, Typed
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..symbols import Symbol
from ..types.declared import runnable
from ..types.kinds import ANY, Group, NamedValue, beyond_text, spell
from .called import CalledTables
from .circles import report_circle
from .externs import extern


class Called(Struct, frozen=True):
    """A call as it is written, and the name of its step."""

    step: str
    callee: Symbol
    node: Call


class Callees(CalledTables):
    """What a program calls, as far as it was read: the calls, and the tables that its steps name."""

    calls: list[Called] = field(default_factory=list[Called])
    runs: bool = True
    """False when something in the program cannot run yet or is mistaken: then there is no runtime program."""

    def call(self, scope: Scope, node: Call, callee: Symbol) -> Typed:
        """A call in a program: check its arguments, add a step."""
        if callee.kind == "extern":
            return self._extern(scope, node, callee)
        if callee is scope.session.symbol_of(scope.place):
            scope.session.report(codes.circles.CallsItself(scope.place.at(node.callee), callee.location))
            self.runs = False
            return Typed(ANY)
        found = runnable(scope.session, callee)
        if found is None:
            report_circle(scope.session, scope.place.at(node.callee), callee)
        if found is None or not found.known:
            self.runs = False
            for argument in node.arguments:
                infer(scope, argument.value)
            unknown = Group(f"the outputs of `{callee.name}`", {}, "output", open=True)
            return Typed(found.results() if found is not None else unknown)
        arguments = arguments_of(scope, node, callee, found.inputs)
        if found.program is None:
            self.runs = False
            return Typed(found.results())
        for spec in found.program.inputs:
            if spec.has_default and spec.name not in arguments:
                arguments[spec.name] = Constant(value=spec.default)
        key = self.add(found, found.program)
        name = scope.step_name(node, callee.name)
        step: CallStep | RunStep
        if key in self.predictors:
            step = CallStep(name=name, predictor=key, arguments=arguments)
        else:
            step = RunStep(name=name, runs=key, arguments=arguments)
        return self._called(scope, node, callee, step, Typed(found.results(), Variable(name=name)))

    def _called(self, scope: Scope, node: Call, callee: Symbol, step: Step, typed: Typed) -> Typed:
        assert scope.block is not None
        assert isinstance(step, CallStep | RunStep | ToolStep)
        # A module ends with its model's answer, so a failed check can ask it again; a program may end with anything.
        scope.block.add(step, asked_again=callee.kind == "module")
        self.calls.append(Called(step.name, callee, node))
        return typed

    def _extern(self, scope: Scope, node: Call, callee: Symbol) -> Typed:
        found = extern(scope.session, callee)
        if found is None:
            self.runs = False
            return Typed(ANY)
        arguments = arguments_of(scope, node, callee, found.inputs)
        if found.tool is None:
            self.runs = False
            return Typed(found.result)
        self.add_tool(scope.session, callee.key, found, found.tool)
        name = scope.step_name(node, callee.name)
        step = ToolStep(name=name, tool=callee.key, arguments=arguments)
        return self._called(scope, node, callee, step, Typed(found.result, Variable(name=name)))


def arguments_of(
    scope: Scope, node: Call, callee: Symbol, inputs: Mapping[str, NamedValue]
) -> dict[str, Expression]:
    """The arguments of a call of a declaration, lowered; reports those that do not fit."""
    shape = ", ".join(f"{name} = …" for name in inputs)
    given = match_arguments(
        scope.session,
        scope.place,
        node,
        f"`{callee.name}`",
        list(inputs),
        {name for name, member in inputs.items() if not member.has_default},
        f"`{callee.name}({shape})`",
        noun="input",
        declared=(Label(callee.location, f"`{callee.name}` is declared here"),),
        optional={name for name, member in inputs.items() if isinstance(member.type, OptionalOf)},
        handed_on={
            name: spell(member.type)
            for name, member in inputs.items()
            if beyond_text(member.type) and not isinstance(member.type, OptionalOf)
        },
    )
    lowered: dict[str, Expression] = {}
    for name, arguments in given.items():
        member = inputs[name]
        for argument in arguments:
            if argument.name is not None:
                scope.session.use(scope.place, argument.name, member.symbol)
        lowered[name] = expect(
            scope, arguments[0].value, member.type, f"`{name}` of `{callee.name}`", member.symbol
        )
    return lowered


def check_called_first(session: Session, symbol: Symbol) -> None:
    """Checks the programs that a program calls, directly or through others, before that program; for a metric, the metrics.

    So no check of a program runs within another one, however long the chain is. A circle is reported once, at the
    call that closes it.
    """
    way: list[tuple[Symbol, Iterator[tuple[Symbol, Call]]]] = [(symbol, _called_by(session, symbol))]
    seen = {id(symbol)}
    while way:
        current, left = way[-1]
        following = next(left, None)
        if following is None:
            way.pop()
            if way:
                session.checked(current)
            continue
        callee, node = following
        on_way = next((place for place, (each, _) in enumerate(way) if each is callee), None)
        if on_way is not None:
            circle = [each for each, _ in way[on_way:]]
            if len(circle) > 1 and not session.in_circle(each.key for each in circle):
                session.circle(each.key for each in circle)
                names = tuple(each.key for each in (*circle, callee))
                of = "metric" if symbol.kind == "metric" else "program"
                session.report(codes.circles.CallsInCircle(session.place(current).at(node.callee), names, of))
        elif id(callee) not in seen and not session.began(callee):
            seen.add(id(callee))
            way.append((callee, _called_by(session, callee)))


def reaches(session: Session, symbol: Symbol, key: str) -> bool:
    """Whether a module, program or metric runs the one of that key, itself or by way of others."""
    waiting, seen = [symbol], {symbol.key}
    while waiting:
        for found in _run_by(session, waiting.pop()):
            if found.key == key:
                return True
            if found.key not in seen:
                seen.add(found.key)
                waiting.append(found)
    return False


def _run_by(session: Session, symbol: Symbol) -> Iterator[Symbol]:
    """The modules and programs that a program calls or that a module names to run, and the metrics that a metric calls. One
    may come more than once."""
    place = session.place(symbol)
    declaration = place.declaration
    waiting: list[Node] = [*(declaration.items or ()), *([declaration.value] if declaration.value else ())]
    while waiting:
        node = waiting.pop()
        waiting += children(node)
        if symbol.kind == "module":
            found = _named(place, node)
        else:
            found = _named(place, node.callee) if isinstance(node, Call) else None
        if found is not None and (found.kind in ("module", "program") or found.kind == symbol.kind):
            yield found


def _called_by(session: Session, symbol: Symbol) -> Iterator[tuple[Symbol, Call]]:
    """The calls of others of its kind that are written in a program or a metric, each callee once."""
    place = session.place(symbol)
    declaration = place.declaration
    found: dict[int, tuple[Symbol, Call]] = {}
    waiting: list[Node] = [*(declaration.items or ()), *([declaration.value] if declaration.value else ())]
    while waiting:
        node = waiting.pop()
        waiting += children(node)
        if isinstance(node, Call) and (callee := _named(place, node.callee)) and callee.kind == symbol.kind:
            found.setdefault(id(callee), (callee, node))
    return iter(sorted(found.values(), key=lambda each: each[1].span))


def _named(place: Place, callee: Node) -> Symbol | None:
    match callee:
        case Reference(name=name):
            return place.scope.symbols.get(name.text)
        case Attribute(target=Reference(name=alias), name=Name() as name):
            imported = place.scope.imports.get(alias.text)
            return imported.symbols.get(name.text) if imported else None
        case _:
            return None
