"""`program` declarations: a graph of calls, made from a body's items."""

from __future__ import annotations

from dspec.grammar.tree import Return
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.running.bounds import MAX_DEPTH, excess
from dspec.runtime.schema.program import FieldSpec, Graph, Program

from ...diagnostics import codes
from ..expressions.blocks import StepBlock
from ..expressions.scope import Scope, bindings
from ..session import Session
from ..symbols import Symbol
from ..types.declared import RunnableInfo, reachable
from ..types.kinds import CALLABLE
from .bodies import BodyReader
from .callees import Callees, check_called_first
from .records import field_specs, parameters, records_lookup
from .returns import promised_outputs, returned_values


def program(session: Session, symbol: Symbol) -> RunnableInfo | None:
    return session.once(_check_program, symbol)


def _check_program(session: Session, symbol: Symbol) -> RunnableInfo:
    check_called_first(session, symbol)
    place = session.place(symbol)
    declaration = place.declaration
    items = declaration.items or ()
    inputs = parameters(session, place, declaration.parameters or (), "input")
    specs = field_specs(session, place, inputs.values())
    promised = promised_outputs(session, place, declaration)
    callees = Callees()
    body = BodyReader(callees)
    block = StepBlock()
    mistakes = len(session.findings)
    scope = Scope(
        session,
        place,
        bindings(inputs.values()),
        "a program",
        calls=callees.call,
        callable=CALLABLE,
        block=block,
        records=records_lookup(session),
    )
    scope = body.read(scope, items)
    returns, outputs = returned_values(scope, symbol, promised)
    whole = len(session.findings) == mistakes and not place.block.problems
    if whole:
        body.report_unused(scope, {name: member.symbol for name, member in inputs.items() if member.symbol})
    built = None
    if callees.runs and any(isinstance(item, Return) for item in items) and outputs:
        graph = Graph(
            name=symbol.key,
            inputs=specs,
            outputs=tuple(FieldSpec(name=m.name, type=m.type) for m in outputs.values()),
            steps=tuple(block.steps),
            returns=returns,
        )
        callees.records |= reachable(session, [one.type for one in (*inputs.values(), *outputs.values())])
        built = _within_bounds(session, symbol, callees.program(graph))
    return RunnableInfo(symbol, inputs, outputs, built, tuple(callees.unbound), bool(outputs))


def _within_bounds(session: Session, symbol: Symbol, built: Program) -> Program | None:
    """The program, if what one run of it does is bounded; reports it otherwise."""
    try:
        problem = excess(built)
    except ConfigurationError:
        session.report(codes.programs.TooDeepPrograms(symbol.location, MAX_DEPTH))
        return None
    if problem:
        session.report(codes.programs.TooManyCalls(symbol.location, problem))
        return None
    return built
