"""`signature` declarations and `sig(...)`: what a predictor is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from dspec.grammar.tree import FieldItem, InlineSignature
from dspec.runtime.schema.program import Demo, FieldSpec, Signature
from dspec.runtime.schema.types import OptionalOf

from ...diagnostics import codes
from ..expressions.scope import Scope, bindings
from ..session import Place, Session
from ..shape.attributes import Reader
from ..symbols import Symbol
from ..types.kinds import NamedValue, beyond_text, spell
from .bases import base_of, in_circle, is_whole, report_circle, with_base, without_other_role
from .demos import inherited_demos, sections, written_demos
from .records import (
    checks,
    doc_of,
    field_specs,
    fields,
    fields_beside,
    one_history,
    parameters,
    records_lookup,
    typeless,
)


class SignatureInfo(Struct, frozen=True):
    """`symbol` is None for `sig(...)`. `doc` is the instruction that is written, here or in a base; empty where none is."""

    symbol: Symbol | None
    inputs: Mapping[str, NamedValue]
    outputs: Mapping[str, NamedValue]
    signature: Signature
    doc: str = ""
    demos: tuple[Demo, ...] = ()
    """Those that are written, here or in a base."""
    whole: bool = True
    """False after a mistake: fields may be missing."""


def default_instruction(inputs: Mapping[str, NamedValue], outputs: Mapping[str, NamedValue]) -> str:
    """What a predictor is asked when its signature has no doc string."""
    shown = [name for name, one in inputs.items() if beyond_text(one.type) != "history"]
    return f"From {_series(shown or list(inputs))}, produce {_series(list(outputs))}."


def _series(names: list[str]) -> str:
    marked = [f"`{name}`" for name in names]
    return (
        marked[0]
        if len(marked) == 1
        else f"{', '.join(marked[:-1])} and {marked[-1]}"
        if marked
        else "nothing"
    )


NOTHING = SignatureInfo(None, {}, {}, Signature(name="", instruction="", inputs=(), outputs=()))
"""What a signature without a base starts from."""


def signature(session: Session, symbol: Symbol) -> SignatureInfo | None:
    return session.once(_check_signature, symbol)


def _check_signature(session: Session, symbol: Symbol) -> SignatureInfo:
    place = session.place(symbol)
    items = place.declaration.items
    mistakes = len(session.findings)
    base = base_of(session, place, "signature")
    parent = signature(session, base) if base is not None else None
    if base is not None and parent is None:
        report_circle(session, place)
    bare = typeless(place)
    below = parent or NOTHING
    own = without_other_role(session, base, fields(session, place, "input"), below.outputs, "an output")
    inputs = with_base(session, base, below.inputs, own, bare)
    beside = fields_beside(session, symbol, "output", own)
    beside = without_other_role(session, base, beside, below.inputs, "an input")
    outputs = with_base(session, base, below.outputs, beside, bare)
    whole = is_whole(place, ("input", "output"), based=parent is not None and parent.whole)
    # Of this declaration alone: what else is checked on the way depends on who is checked first.
    here = place.at(place.declaration)
    whole = whole and not any(
        found.code.severity == "error"
        and found.where.source is here.source
        and here.start <= found.where.start < here.end
        for found in session.findings[mistakes:]
    )
    misplaced = any(isinstance(item, FieldItem) and item.role == "field" for item in items or ())
    circle = base is not None and session.place(base).declaration.base is not None and in_circle(session)
    wrong = misplaced or circle or place.declaration.parameters is not None
    if items is not None and not place.block.problems and not wrong:
        roles: tuple[tuple[Literal["input", "output"], Mapping[str, NamedValue]], ...]
        roles = (("input", below.inputs), ("output", below.outputs))
        for role, inherited in roles:
            written = any(isinstance(item, FieldItem) and item.role == role for item in items)
            if not (written or inherited or (place.declaration.base is not None and parent is None)):
                session.report(codes.types.Lacks(symbol.location, role, "signature"))
    one_history(session, inputs.values())
    names = bindings((*inputs.values(), *outputs.values()))
    scope = Scope(session, place, names, "a signature's check", records=records_lookup(session))
    read = Reader(session, place, items)
    retries = read.integer("max_retries")
    known = {field.name: field for field in below.signature.inputs}
    specs = field_specs(session, place, inputs.values(), known, below.inputs)
    doc = doc_of(items).strip() or below.doc
    for member in outputs.values():
        # What stands behind a type that could not be read is taken for a default.
        if member.has_default and member.symbol and not place.block.problems:
            session.report(
                codes.calls.OutputDefault(member.symbol.location, spell(OptionalOf(item=member.type)))
            )
    mistakes = len(session.findings)
    own_checks = checks(place, scope) if whole or place.block.problems else ()
    asked = Signature(
        name=symbol.key,
        instruction=doc or default_instruction(inputs, outputs),
        fixed=below.signature.fixed + read.texts("fixed"),
        inputs=specs,
        outputs=tuple(
            FieldSpec(name=m.name, type=m.type, description=m.description) for m in outputs.values()
        ),
        checks=below.signature.checks + own_checks,
        max_retries=below.signature.max_retries if retries is None else retries,
    )
    demos: tuple[Demo, ...] = ()
    # A check with a mistake in it is broken by every demo.
    held = asked if len(session.findings) == mistakes else asked.model_copy(update={"checks": ()})
    members = {**inputs, **outputs}
    if sections(items):
        demos = written_demos(session, place, members, held) if whole or place.block.problems else ()
    elif base is not None and below.demos:
        known = {**below.inputs, **below.outputs}
        demos = inherited_demos(session, symbol, base, below.demos, known, members, held)
    return SignatureInfo(symbol, inputs, outputs, asked, doc, demos, whole)


def inline(session: Session, place: Place, node: InlineSignature, name: str) -> SignatureInfo:
    """`sig(a, b: int -> c)`."""
    inputs = parameters(session, place, node.inputs, "input")
    outputs = parameters(session, place, node.outputs, "output", taken=inputs)
    if not outputs:
        session.report(codes.types.Lacks(place.at(node), "output"))
    if not inputs:
        session.report(codes.types.Lacks(place.at(node), "input"))
    one_history(session, inputs.values())
    return SignatureInfo(
        None,
        inputs,
        outputs,
        Signature(
            name=name,
            instruction=default_instruction(inputs, outputs),
            inputs=field_specs(session, place, inputs.values()),
            outputs=tuple(FieldSpec(name=m.name, type=m.type) for m in outputs.values()),
        ),
    )
