"""`extern` and `test` declarations: checked for names and types, not run yet."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.grammar.tree import Call, Expect, Expr, Given, Literal, Reference, Span
from dspec.runtime.schema.expressions import Variable
from dspec.runtime.schema.types import ANY, Type

from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, quoted
from ..expressions.infer import expect, infer, truth
from ..expressions.scope import Binding, Scope
from ..session import Place, Session, insert_item
from ..shape.attributes import Reader, settings
from ..shape.shape import later
from ..sources.extern_sources import check_source
from ..sources.externs.table import EXTERN_SOURCES
from ..symbols import Symbol
from ..types.declared import runnable
from ..types.kinds import Group, Member
from ..types.typenames import resolve_type
from .records import doc_of, records_lookup
from .signatures import parameter_specs, parameters

DESCRIPTION = '"What it does, and when to use it."'


class ExternInfo(Struct, frozen=True):
    """`described` says that an agent would be told more of it than its name."""

    inputs: Mapping[str, Member]
    result: Type | Group
    described: bool = True


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
    described = bool(doc_of(declaration.items).strip())
    if isinstance(source, Call) and isinstance(source.callee, Reference):
        described |= check_source(session, place, symbol, source, source.callee.name, inputs, result)
    elif source is not None:
        written = place.text(source)
        found = f"`python({written})`" if isinstance(source, Literal) else '`python("module:function")`'
        session.report(
            "DS0110",
            f"an extern's source is a call such as {found}",
            place.at(source),
            "not a source",
            help=f"it comes from {quoted(EXTERN_SOURCES, 'or')}",
        )
    elif declaration.items is not None and not place.block.problems:
        session.report(
            "DS0107",
            f"extern `{symbol.name}` is missing `source`",
            symbol.location,
            help='where does the function come from? For example `source = python("module:function")`',
            fixes=insert_item(place, 'source = python("module:function")', "Insert `source`"),
        )
    later(session, place, f"extern functions, such as `{symbol.name}`", declaration.keyword)
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
    fixes = insert_item(place, DESCRIPTION, "Insert a description")
    if isinstance(value, Call):
        head = place.block.text[: value.span.start].rstrip()
        if head.endswith("="):
            start = len(head) - 1
            text = f"{{\n  {DESCRIPTION}\n  source = {place.text(value)}\n}}"
            edit = Edit(place.at(Span(start, value.span.end)), text)
            fixes = (Fix("Write it as a block with a description", (edit,), "maybe"),)
    session.report(
        "DS0311",
        f"the tool `{symbol.name}` has no description, so an agent sees only its name and its inputs",
        symbol.location,
        "what is it for?",
        help="say in a doc string what it does and when to use it; a Python docstring counts, too",
        fixes=fixes,
    )
    return True


def check_test(session: Session, symbol: Symbol) -> None:
    """Check the names in a `test`, which cannot run yet."""
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
    given: dict[str, Given] = {}
    for item in declaration.items or ():
        if isinstance(item, Given):
            first = given.setdefault(item.name.text, item)
            if first is not item:
                _given_twice(session, place, item, first)
                continue
            _given(session, place, item, found.inputs if found and found.known else None, tested)
        elif isinstance(item, Expect) and outputs is not None:
            scope = Scope(session, place, names, "a test", records=records_lookup(session))
            truth(scope, item.condition, "what `expect` asks for")
    if found and found.known and not place.block.problems:
        _complete(session, place, symbol, found.inputs, given)
    later(session, place, "`test` blocks", declaration.keyword)


def _complete(
    session: Session, place: Place, symbol: Symbol, inputs: Mapping[str, Member], given: Mapping[str, Given]
) -> None:
    """A test gives every input that has no default, and expects something."""
    absent = [name for name, member in inputs.items() if name not in given and not member.has_default]
    if absent and all(name in inputs for name in given):
        session.report(
            "DS0302",
            f"test `{symbol.name}` lacks {quoted(absent)}",
            symbol.location,
            f"lacks {quoted(absent)}",
            secondary=tuple(
                Label(place_of, "an input")
                for name in absent
                if (place_of := inputs[name].location) is not None
            ),
            help=f"add `given {absent[0]} = …`",
        )
    if not any(isinstance(item, Expect) for item in place.declaration.items or ()):
        session.report(
            "DS0107",
            f"test `{symbol.name}` expects nothing, so it could not fail",
            symbol.location,
            "no `expect`",
            help='say what must hold of the outputs, for example `expect answer != ""`',
        )


def _given_twice(session: Session, place: Place, item: Given, first: Given) -> None:
    session.report(
        "DS0106",
        f"`{item.name.text}` is given twice",
        place.at(item.name),
        "again here",
        secondary=(Label(place.at(first.name), "first here"),),
    )


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
