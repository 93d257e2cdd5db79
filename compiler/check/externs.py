"""`extern` and `test` declarations: checked for names and types, not run yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dspec.grammar.tree import Call, Expect, Expr, Given, Reference
from dspec.runtime.expressions import Variable
from dspec.runtime.types import ANY, Type

from ..blocks import EXTERN_SOURCES
from ..spelling import closest, quoted
from ..symbols import Symbol
from .attributes import Reader, settings
from .expressions import expect, infer, truth
from .kinds import Group, Member
from .names import did_you_mean, listed
from .records import records_lookup
from .scope import Binding, Scope
from .session import Place, Session, suggestions
from .shape import later
from .signatures import parameter_specs, parameters
from .typenames import resolve_type


@dataclass(frozen=True, slots=True)
class ExternInfo:
    inputs: Mapping[str, Member]
    result: Type | Group


def extern(session: Session, symbol: Symbol) -> ExternInfo | None:
    return session.once(_check_extern, symbol)


def _check_extern(session: Session, symbol: Symbol) -> ExternInfo:
    place = session.place(symbol)
    declaration = place.declaration
    inputs = parameters(session, place, declaration.parameters or (), "input")
    parameter_specs(session, place, declaration.parameters or (), inputs)
    result: Type | Group = ANY
    if isinstance(declaration.returns, tuple):
        members = parameters(session, place, declaration.returns, "output")
        result = Group(f"what `{symbol.name}` returns", members, "output")
    elif declaration.returns is not None:
        result = resolve_type(session, place, declaration.returns)
    setting = settings(declaration.items).get("source")
    source = declaration.value or (setting.value if setting else None)
    if isinstance(source, Call) and isinstance(source.callee, Reference):
        name = source.callee.name
        if name.text not in EXTERN_SOURCES:
            near = closest(name.text, EXTERN_SOURCES)
            session.report(
                "DS0211",
                f"an extern cannot come from `{name.text}`{did_you_mean(near)}",
                place.at(name),
                "unknown source",
                help="" if near else f"it comes from {quoted(EXTERN_SOURCES, 'or')}",
                fixes=suggestions(place.at(name), near),
            )
    later(session, place, f"extern functions, such as `{symbol.name}`", declaration.keyword)
    return ExternInfo(inputs, result)


def check_test(session: Session, symbol: Symbol) -> None:
    """Check the names in a `test`, which cannot run yet."""
    from .runnable import runnable

    place = session.place(symbol)
    declaration = place.declaration
    read = Reader(session, place, declaration.items)
    tested = read.reference("program")
    found = runnable(session, tested) if tested else None
    outputs = found.outputs if found and found.known else None
    names: dict[str, Binding] = {}
    if found and outputs is not None:
        names = {
            member.name: Binding(member.type, Variable(name=member.name), member.symbol)
            for member in outputs.values()
        }
    for item in declaration.items or ():
        if isinstance(item, Given):
            _given(session, place, item, found.inputs if found and found.known else None, tested)
        elif isinstance(item, Expect) and outputs is not None:
            scope = Scope(session, place, names, "a test", records=records_lookup(session))
            truth(scope, item.condition, "what `expect` asks for")
    later(session, place, "`test` blocks", declaration.keyword)


def _given(
    session: Session, place: Place, item: Given, inputs: Mapping[str, Member] | None, tested: Symbol | None
) -> None:
    scope = Scope(session, place, {}, "a test", records=records_lookup(session))
    node: Expr = item.value
    if inputs is None or tested is None:
        infer(scope, node)
        return
    member = inputs.get(item.name.text)
    if member is None:
        near = closest(item.name.text, inputs)
        session.report(
            "DS0303",
            f"`{tested.name}` has no input `{item.name.text}`{did_you_mean(near)}",
            place.at(item.name),
            "not an input",
            help="" if near else f"its inputs are {listed(inputs)}",
            fixes=suggestions(place.at(item.name), near),
        )
        return
    expect(scope, node, member.type, f"`{member.name}`", member.symbol)
