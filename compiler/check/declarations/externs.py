"""`extern` declarations, checked and lowered to tools."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.grammar.tree import Call, Literal, Reference, Span
from dspec.runtime.schema.program import FieldSpec, Tool
from dspec.runtime.schema.types import ANY, Type

from ...diagnostics import codes
from ..session import Place, Session
from ..shape.attributes import Reader, settings
from ..sources.extern_sources import ExternSourced, check_source
from ..symbols import Symbol
from ..types.kinds import Group, NamedValue, beyond_text
from ..types.typenames import resolve_type
from .records import doc_of, field_specs, parameters


class ExternInfo(Struct, frozen=True):
    """`described` says that an agent would learn more of the tool than its name."""

    inputs: Mapping[str, NamedValue]
    result: Type | Group
    described: bool = True
    tool: Tool | None = None
    """What a program calls when it runs; None where something is wrong with it."""
    lm: Symbol | None = None
    """The model that its source asks."""


def extern(session: Session, symbol: Symbol) -> ExternInfo | None:
    return session.once(_check_extern, symbol)


def _check_extern(session: Session, symbol: Symbol) -> ExternInfo:
    place = session.place(symbol)
    declaration = place.declaration
    inputs = parameters(session, place, declaration.parameters or (), "input")
    taken = field_specs(session, place, inputs.values())
    result: Type | Group = ANY
    if isinstance(declaration.returns, tuple):
        members = parameters(session, place, declaration.returns, "output")
        result = Group(f"what `{symbol.name}` returns", members, "output")
    elif declaration.returns is not None:
        result = resolve_type(session, place, declaration.returns)
        if word := beyond_text(result):
            session.report(codes.media.OnlyAnInput(place.at(declaration.returns), word, "result"))
            result = ANY
    setting = settings(declaration.items).get("source")
    source = declaration.value or (setting.value if setting else None)
    described = doc_of(declaration.items).strip()
    made: ExternSourced | None = None
    if isinstance(source, Call) and isinstance(source.callee, Reference):
        made = check_source(session, place, symbol, source, source.callee.name, inputs, result)
        described = described or made.description
    elif source is not None:
        from ..sources.externs.table import EXTERN_SOURCES

        text = isinstance(source, Literal)
        session.report(codes.attributes.SourceNotCalled(place.at(source), text, tuple(EXTERN_SOURCES)))
    elif declaration.items is not None and not place.block.problems:
        session.report(codes.attributes.NoSource(symbol.location, place.room))
    tool = None
    if made is not None and made.options is not None and isinstance(source, Call):
        tool = _tool(session, place, symbol, source, made, taken, result, described)
    return ExternInfo(
        inputs,
        result,
        bool(described) or (made is not None and made.mistaken),
        tool,
        None if made is None else made.lm,
    )


def _tool(
    session: Session,
    place: Place,
    symbol: Symbol,
    source: Call,
    made: ExternSourced,
    inputs: tuple[FieldSpec, ...],
    result: Type | Group,
    description: str,
) -> Tool:
    read = Reader(session, place, place.declaration.items)
    timeout, retry, most = read.number("timeout"), read.integer("retry"), read.integer("max_result")
    several = isinstance(result, Group)
    return Tool(
        name=symbol.key,
        description=description,
        inputs=inputs,
        output=None if several else result,
        outputs=field_specs(session, place, result.members.values()) if several else (),
        source=source.callee.name.text if isinstance(source.callee, Reference) else "",
        options=dict(made.options or {}),
        lm=None if made.lm is None else made.lm.key,
        pure=read.flag("pure") is True,
        timeout=30.0 if timeout is None else timeout,
        retry=retry or 0,
        max_result=100_000 if most is None else most,
        max_parallel=read.integer("max_parallel"),
    )


def check_tool(session: Session, symbol: Symbol) -> None:
    """Warn, once, of a tool that gives an agent nothing but its name."""
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
    session.report(codes.externs.NoDescription(symbol.location, place.room, whole, source))
    return True
