"""`program` declarations: a straight-line graph of module calls.

Every `let` is a step. A module call that stands inside an expression becomes a step of its own,
named so that no name of the user's can clash with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.grammar.tree import Call, CheckItem, Let, Return, Setting
from dspec.runtime.schema.expressions import Constant, Expression, Variable
from dspec.runtime.schema.program import LM, CallStep, CheckStep, FieldSpec, Predictor, Program, ValueStep
from dspec.runtime.schema.types import Type

from ...diagnostics import codes
from ...diagnostics.record import Label
from ..expressions.infer import expect, infer
from ..expressions.scope import Binding, Scope, Typed, bindings
from ..session import Session
from ..shape.arguments import match_arguments
from ..symbols import Symbol
from ..types.declared import RunnableInfo, lm_closure, reachable, runnable
from ..types.kinds import ANY, Group, NamedValue, spell
from .externs import extern
from .records import check_item, field_specs, parameters, records_lookup
from .returns import promised_outputs, returned_values

AnyStep = CallStep | ValueStep | CheckStep


class GraphInProgress(Struct):
    """The program as it is being read. `feeds` maps a value to the calls that it was made from."""

    steps: list[AnyStep] = field(default_factory=list[AnyStep])
    predictors: dict[str, Predictor] = field(default_factory=dict[str, Predictor])
    unbound: list[str] = field(default_factory=list[str])
    types: list[Type] = field(default_factory=list[Type])
    models: list[str] = field(default_factory=list[str])
    feeds: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    called: dict[str, tuple[Symbol, Call]] = field(default_factory=dict[str, tuple[Symbol, Call]])
    read: set[str] = field(default_factory=set[str])
    runs: bool = True
    """False when something in it cannot run yet or is mistaken: then there is no runtime program."""


def program(session: Session, symbol: Symbol) -> RunnableInfo | None:
    return session.once(_check_program, symbol)


def _check_program(session: Session, symbol: Symbol) -> RunnableInfo:
    place = session.place(symbol)
    declaration = place.declaration
    inputs = parameters(session, place, declaration.parameters or (), "input")
    specs = field_specs(session, place, inputs.values())
    promised = promised_outputs(session, place, declaration)
    graph = GraphInProgress()
    mistakes = len(session.findings)
    scope = Scope(
        session,
        place,
        bindings(inputs.values()),
        "a program",
        calls=lambda inner, node, callee: _call(graph, inner, node, callee, None),
        records=records_lookup(session),
    )
    scope = _body(graph, scope)
    scope.reads.clear()
    returns, outputs = returned_values(scope, symbol, promised)
    graph.read |= scope.reads
    graph.runs = graph.runs and any(isinstance(item, Return) for item in declaration.items or ())
    _unused(graph, scope, inputs, values=len(session.findings) == mistakes)
    complete = graph.runs and declaration.items is not None and bool(outputs)
    built = None
    if complete:
        kinds = [m.type for m in (*inputs.values(), *outputs.values())] + graph.types
        lms: dict[str, LM] = {}
        for key in dict.fromkeys(graph.models):
            model = session.lms.get(key)
            lms.update(lm_closure(session, model) if model else {})
        built = Program(
            name=symbol.key,
            inputs=specs,
            outputs=tuple(FieldSpec(name=m.name, type=m.type) for m in outputs.values()),
            steps=tuple(graph.steps),
            returns=returns,
            predictors=graph.predictors,
            records=reachable(session, kinds),
            lms=lms,
        )
    known = bool(outputs) or not (place.block.problems or declaration.items is None)
    return RunnableInfo(
        symbol, inputs, outputs, built, tuple(dict.fromkeys(graph.unbound)), known and bool(outputs)
    )


def _body(graph: GraphInProgress, scope: Scope) -> Scope:
    """Read the `let`s and checks in order; gives the scope at the end."""
    for item in scope.place.declaration.items or ():
        if isinstance(item, CheckItem):
            before = set(scope.reads)
            scope.reads.clear()
            check = check_item(scope, item)
            read = set(scope.reads)
            scope.reads.update(before)
            graph.read |= read
            sources = frozenset[str]().union(*(graph.feeds.get(name, frozenset()) for name in read))
            order = [step.name for step in graph.steps if isinstance(step, CallStep)]
            blames = next((name for name in reversed(order) if name in sources), None)
            graph.steps.append(CheckStep(check=check, blames=blames))
        elif isinstance(item, Setting):  # a `let` that lacks its word, as the shape's check says
            graph.runs = False
            scope = scope.having(item.name.text, Binding(ANY, Variable(name=item.name.text)))
        elif isinstance(item, Let):
            scope = _let(graph, scope, item)
            graph.read |= scope.reads
    return scope


def _let(graph: GraphInProgress, scope: Scope, item: Let) -> Scope:
    name = item.name.text
    place, session = scope.place, scope.session
    first = scope.names.get(name)
    if first is not None and first.symbol is not None:
        session.report(codes.names.ValueTwice(place.at(item.name), first.symbol.location))
    outer = set(scope.reads)
    scope.reads.clear()
    typed = _let_value(graph, scope, item, name)
    read = set(scope.reads)
    scope.reads.update(outer)
    symbol = session.declare(place, "let", name, item.name, detail=spell(typed.kind))
    if name not in graph.called:
        graph.feeds[name] = frozenset[str]().union(*(graph.feeds.get(other, frozenset()) for other in read))
    code = Variable(name=name)
    if first is not None:
        return scope.having(name, Binding(ANY, code, symbol))
    return scope.having(name, Binding(typed.kind, code, symbol))


def _let_value(graph: GraphInProgress, scope: Scope, item: Let, name: str) -> Typed:
    node = item.value

    def call(inner: Scope, called: Call, callee: Symbol) -> Typed:
        return _call(graph, inner, called, callee, name if called is node else None)

    typed = infer(replace(scope, calls=call), node)
    if not (isinstance(node, Call) and (name in graph.called or isinstance(typed.kind, Group))):
        graph.steps.append(ValueStep(name=name, value=typed.code))
    return typed


def _call(graph: GraphInProgress, scope: Scope, node: Call, callee: Symbol, let: str | None) -> Typed:
    """A call in a program: check its arguments, add a step."""
    if callee.kind == "extern":
        return _extern_call(graph, scope, node, callee)
    if callee is scope.session.symbol_of(scope.place):
        scope.session.report(codes.names.CallsItself(scope.place.at(node.callee), callee.location))
        graph.runs = False
        return Typed(ANY)
    found = runnable(scope.session, callee)
    if found is None or not found.known:
        graph.runs = False
        for argument in node.arguments:
            infer(scope, argument.value)
        return Typed(Group(f"the outputs of `{callee.name}`", {}, "output", open=True))
    arguments = _arguments(scope, node, callee, found.inputs)
    results = found.results()
    if callee.kind == "program":
        scope.session.report(
            codes.syntax.NotYet(
                scope.place.at(node.callee), f"calling the program `{callee.name}` from a program"
            )
        )
        graph.runs = False
        return Typed(results)
    if found.program is None:
        graph.runs = False
        return Typed(results)
    for spec in found.program.inputs:
        if spec.has_default and spec.name not in arguments:
            arguments[spec.name] = Constant(value=spec.default)
    name = let or _free_name(graph, callee.name)
    (predictor,) = found.program.predictors.values()
    graph.predictors[callee.key] = predictor
    graph.unbound += found.unbound
    graph.models.append(predictor.lm)
    graph.types += [member.type for member in (*found.inputs.values(), *found.outputs.values())]
    graph.steps.append(CallStep(name=name, predictor=callee.key, arguments=arguments))
    graph.called[name] = (callee, node)
    graph.feeds[name] = frozenset({name})
    if let is None:
        scope.reads.add(name)
    return Typed(results, Variable(name=name))


def _free_name(graph: GraphInProgress, wanted: str) -> str:
    number = 1
    while f"{wanted}#{number}" in graph.called:
        number += 1
    return f"{wanted}#{number}"


def _arguments(
    scope: Scope, node: Call, callee: Symbol, inputs: Mapping[str, NamedValue]
) -> dict[str, Expression]:
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
    )
    lowered: dict[str, Expression] = {}
    for name, arguments in given.items():
        member = inputs[name]
        lowered[name] = expect(
            scope, arguments[0].value, member.type, f"`{name}` of `{callee.name}`", member.symbol
        )
    return lowered


def _extern_call(graph: GraphInProgress, scope: Scope, node: Call, callee: Symbol) -> Typed:
    graph.runs = False
    found = extern(scope.session, callee)
    if found is None:
        return Typed(ANY)
    _arguments(scope, node, callee, found.inputs)
    return Typed(found.result)


def _unused(graph: GraphInProgress, scope: Scope, inputs: Mapping[str, NamedValue], *, values: bool) -> None:
    """Warn, where all else is well, of calls that are paid for nothing and of other unused values."""
    session, place = scope.session, scope.place
    if not values or place.block.problems:
        return
    used = graph.read
    per_run = len(graph.called)
    for name, (callee, node) in graph.called.items():
        if name not in used:
            session.report(codes.types.PaidForNothing(place.at(node), callee.name, name, per_run))
    for name, binding in scope.names.items():
        if name in used or name in graph.called or binding.symbol is None:
            continue
        if binding.symbol.kind == "let" or name in inputs:
            what = "input" if name in inputs else "value"
            session.report(codes.names.UnusedValue(binding.symbol.location, what))
