"""Makes a step of each call in a program, and brings together the tables of all that the program calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from dspec.grammar.tree import Attribute, Call, Name, Node, Reference
from dspec.grammar.walk import children
from dspec.runtime.schema.expressions import Constant, Expression, Variable
from dspec.runtime.schema.program import (
    LM,
    CallStep,
    Graph,
    ModuleSpec,
    Predictor,
    Program,
    Record,
    RunStep,
    Step,
    Tool,
    ToolStep,
)

from ...diagnostics import codes
from ...diagnostics.record import Label
from ..expressions.infer import expect, infer
from ..expressions.scope import Scope, Typed
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..symbols import Symbol
from ..types.declared import RunnableInfo, lm_closure, reachable, runnable
from ..types.kinds import ANY, Group, NamedValue
from .circles import report_circle
from .externs import extern


class Called(Struct, frozen=True):
    """A call as it is written, and the name of its step."""

    step: str
    callee: Symbol
    node: Call


class Callees(Struct):
    """What a program calls, as far as it was read: the calls, and the tables that its steps name."""

    calls: list[Called] = field(default_factory=list[Called])
    predictors: dict[str, Predictor] = field(default_factory=dict[str, Predictor])
    modules: dict[str, ModuleSpec] = field(default_factory=dict[str, ModuleSpec])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    graphs: dict[str, Graph] = field(default_factory=dict[str, Graph])
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    lms: dict[str, LM] = field(default_factory=dict[str, LM])
    unbound: dict[str, None] = field(default_factory=dict[str, None])
    runs: bool = True
    """False when something in the program cannot run yet or is mistaken: then there is no runtime program."""

    def call(self, scope: Scope, node: Call, callee: Symbol) -> Typed:
        """A call in a program: check its arguments, add a step."""
        if callee.kind == "extern":
            return self._extern(scope, node, callee)
        if callee is scope.session.symbol_of(scope.place):
            scope.session.report(codes.names.CallsItself(scope.place.at(node.callee), callee.location))
            self.runs = False
            return Typed(ANY)
        found = runnable(scope.session, callee)
        if found is None:
            report_circle(scope.session, scope.place.at(node.callee), callee)
        if found is None or not found.known:
            self.runs = False
            for argument in node.arguments:
                infer(scope, argument.value)
            return Typed(Group(f"the outputs of `{callee.name}`", {}, "output", open=True))
        arguments = _arguments(scope, node, callee, found.inputs)
        if found.program is None:
            self.runs = False
            return Typed(found.results())
        for spec in found.program.inputs:
            if spec.has_default and spec.name not in arguments:
                arguments[spec.name] = Constant(value=spec.default)
        self._take(found)
        name = scope.step_name(node, callee.name)
        step = self._step(found, callee, name, arguments)
        # A program may end with anything; a module ends with what its model said.
        return self._called(scope, node, callee, step, Typed(found.results(), Variable(name=name)))

    def _called(self, scope: Scope, node: Call, callee: Symbol, step: Step, typed: Typed) -> Typed:
        assert scope.block is not None
        assert isinstance(step, CallStep | RunStep | ToolStep)
        scope.block.add(step, asked_again=callee.kind == "module")
        self.calls.append(Called(step.name, callee, node))
        return typed

    def _step(
        self, found: RunnableInfo, callee: Symbol, name: str, arguments: dict[str, Expression]
    ) -> CallStep | RunStep:
        """A module is called by its one step, a program by its graph."""
        program = found.program
        assert program is not None
        if callee.kind == "module":
            (step,) = program.steps
            assert isinstance(step, CallStep | RunStep)
            return step.model_copy(update={"name": name, "arguments": arguments})
        self.graphs[callee.key] = Graph(
            name=callee.key,
            inputs=program.inputs,
            outputs=program.outputs,
            steps=program.steps,
            returns=program.returns,
        )
        return RunStep(name=name, runs=callee.key, arguments=arguments)

    def _take(self, found: RunnableInfo) -> None:
        """All that the callee calls is called by the program, under the same keys."""
        program = found.program
        assert program is not None
        self.predictors.update(program.predictors)
        self.modules.update(program.modules)
        self.tools.update(program.tools)
        self.graphs.update(program.graphs)
        self.records.update(program.records)
        self.lms.update(program.lms)
        self.unbound.update(dict.fromkeys(found.unbound))

    def _extern(self, scope: Scope, node: Call, callee: Symbol) -> Typed:
        found = extern(scope.session, callee)
        if found is None:
            self.runs = False
            return Typed(ANY)
        arguments = _arguments(scope, node, callee, found.inputs)
        if found.tool is None:
            self.runs = False
            return Typed(found.result)
        result = found.result
        kinds = [member.type for member in found.inputs.values()]
        kinds += (
            [member.type for member in result.members.values()] if isinstance(result, Group) else [result]
        )
        self.records.update(reachable(scope.session, kinds))
        self.tools[callee.key] = found.tool
        if found.lm is not None:
            self.lms.update(lm_closure(scope.session, found.lm))
        name = scope.step_name(node, callee.name)
        step = ToolStep(name=name, tool=callee.key, arguments=arguments)
        return self._called(scope, node, callee, step, Typed(found.result, Variable(name=name)))


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


def check_called_first(session: Session, symbol: Symbol) -> None:
    """Checks the programs that a program calls, and those that these call, before it.

    So no check of a program stands within another, however long the chain; and a circle is found, and reported
    once, where it closes.
    """
    way: list[tuple[Symbol, Iterator[tuple[Symbol, Call]]]] = [(symbol, _programs_called(session, symbol))]
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
            if len(circle) > 1 and not session.circles & {each.key for each in circle}:
                session.circles |= {each.key for each in circle}
                names = tuple(each.key for each in (*circle, callee))
                session.report(codes.names.CallsInCircle(session.place(current).at(node.callee), names))
        elif id(callee) not in seen and not session.began(callee):
            seen.add(id(callee))
            way.append((callee, _programs_called(session, callee)))


def reaches(session: Session, symbol: Symbol, key: str) -> bool:
    """Whether a module or program runs the one of that key, itself or by way of others."""
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
    """What a program calls, and what a module names to run: modules and programs, some perhaps twice."""
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
        if found is not None and found.kind in ("module", "program"):
            yield found


def _programs_called(session: Session, symbol: Symbol) -> Iterator[tuple[Symbol, Call]]:
    """The calls of programs that are written in a program, each callee once."""
    place = session.place(symbol)
    found: dict[int, tuple[Symbol, Call]] = {}
    waiting: list[Node] = list(place.declaration.items or ())
    while waiting:
        node = waiting.pop()
        waiting += children(node)
        if isinstance(node, Call) and (callee := _named(place, node.callee)) and callee.kind == "program":
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


def assembled(callees: Callees, graph: Graph, records: Mapping[str, Record]) -> Program:
    """The runtime program of a graph with all that it calls."""
    return Program(
        name=graph.name,
        inputs=graph.inputs,
        outputs=graph.outputs,
        steps=graph.steps,
        returns=graph.returns,
        predictors=callees.predictors,
        records=dict(sorted({**callees.records, **records}.items())),
        lms=callees.lms,
        modules=callees.modules,
        tools=callees.tools,
        graphs=callees.graphs,
    )
