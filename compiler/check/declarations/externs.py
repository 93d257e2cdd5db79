"""`extern` and `test` declarations: checked for names and types, not run yet."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.grammar.tree import Call, Expect, Expr, Given, Literal, Reference, Span
from dspec.runtime.schema.program import Tool
from dspec.runtime.schema.types import ANY, Type

from ...diagnostics.codes.syntax import ExpectsNothing, GivenTwice, NoSource, NotYet, SourceNotCalled
from ...diagnostics.codes.types import LacksGiven, NoDescription, UnknownGiven
from ..expressions.infer import expect, infer, truth
from ..expressions.scope import Scope, bindings
from ..session import Place, Session
from ..shape.attributes import Reader, settings
from ..sources.extern_sources import check_source
from ..symbols import Symbol
from ..types.declared import runnable
from ..types.kinds import Group, NamedValue
from ..types.typenames import resolve_type
from .records import doc_of, field_specs, parameters, records_lookup


class ExternInfo(Struct, frozen=True):
    """`described` says that an agent would be told more of it than its name."""

    inputs: Mapping[str, NamedValue]
    result: Type | Group
    described: bool = True
    tool: Tool | None = None
    """What a program calls; None where something is wrong with it, or what it comes from does not run."""


def extern(session: Session, symbol: Symbol) -> ExternInfo | None:
    return session.once(_check_extern, symbol)


def _check_extern(session: Session, symbol: Symbol) -> ExternInfo:
    place = session.place(symbol)
    declaration = place.declaration
    inputs = parameters(session, place, declaration.parameters or (), "input")
    field_specs(session, place, inputs.values())
    result: Type | Group = ANY
    if isinstance(declaration.returns, tuple):
        members = parameters(session, place, declaration.returns, "output")
        result = Group(f"what `{symbol.name}` returns", members, "output")
    elif declaration.returns is not None:
        result = resolve_type(session, place, declaration.returns)
    setting = settings(declaration.items).get("source")
    source = declaration.value or (setting.value if setting else None)
    described = bool(doc_of(declaration.items).strip())
    if isinstance(source, Call) and isinstance(source.callee, Reference):
        described |= check_source(session, place, symbol, source, source.callee.name, inputs, result)
    elif source is not None:
        from ..sources.externs.table import EXTERN_SOURCES

        text = isinstance(source, Literal)
        session.report(SourceNotCalled(place.at(source), text, tuple(EXTERN_SOURCES)))
    elif declaration.items is not None and not place.block.problems:
        session.report(NoSource(symbol.location, place.room))
    session.report(NotYet(place.at(declaration.keyword), f"extern functions, such as `{symbol.name}`"))
    return ExternInfo(inputs, result, described)


def check_tool(session: Session, symbol: Symbol) -> None:
    """Warn, once, of a tool that an agent is told nothing of but its name."""
    session.once(_check_tool, symbol)


def _check_tool(session: Session, symbol: Symbol) -> bool:
    found = extern(session, symbol)
    if found is None or found.described or session.place(symbol).block.problems:
        return False
    place = session.place(symbol)
    value = place.declaration.value
    whole = source = None
    if isinstance(value, Call):
        head = place.block.text[: value.span.start].rstrip()
        if head.endswith("="):
            whole, source = place.at(Span(len(head) - 1, value.span.end)), place.at(value)
    session.report(NoDescription(symbol.location, place.room, whole, source))
    return True


def check_test(session: Session, symbol: Symbol) -> None:
    """Check the names in a `test`, which cannot run yet."""
    place = session.place(symbol)
    declaration = place.declaration
    read = Reader(session, place, declaration.items)
    tested = read.reference("program")
    found = runnable(session, tested) if tested else None
    outputs = found.outputs if found and found.known else None
    names = bindings((outputs or {}).values())
    given: dict[str, Given] = {}
    for item in declaration.items or ():
        if isinstance(item, Given):
            first = given.setdefault(item.name.text, item)
            if first is not item:
                session.report(GivenTwice(place.at(item.name), item.name.text, place.at(first.name)))
                continue
            _given(session, place, item, found.inputs if found and found.known else None, tested)
        elif isinstance(item, Expect) and outputs is not None:
            scope = Scope(session, place, names, "a test", records=records_lookup(session))
            truth(scope, item.condition, "what `expect` asks for")
    if found and found.known and not place.block.problems:
        _complete(session, place, symbol, found.inputs, given)
    session.report(NotYet(place.at(declaration.keyword), "`test` blocks"))


def _complete(
    session: Session,
    place: Place,
    symbol: Symbol,
    inputs: Mapping[str, NamedValue],
    given: Mapping[str, Given],
) -> None:
    """A test gives every input that has no default, and expects something."""
    absent = tuple(name for name, member in inputs.items() if name not in given and not member.has_default)
    if absent and all(name in inputs for name in given):
        places = tuple(at for name in absent if (at := inputs[name].location))
        session.report(LacksGiven(symbol.location, absent, places))
    if not any(isinstance(item, Expect) for item in place.declaration.items or ()):
        session.report(ExpectsNothing(symbol.location))


def _given(
    session: Session,
    place: Place,
    item: Given,
    inputs: Mapping[str, NamedValue] | None,
    tested: Symbol | None,
) -> None:
    scope = Scope(session, place, {}, "a test", records=records_lookup(session))
    node: Expr = item.value
    if inputs is None or tested is None:
        infer(scope, node)
        return
    member = inputs.get(item.name.text)
    if member is None:
        session.report(UnknownGiven(place.at(item.name), tested.name, tuple(inputs)))
        return
    expect(scope, node, member.type, f"`{member.name}`", member.symbol)
