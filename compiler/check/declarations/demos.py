"""`demo { … }` in a signature: worked examples that prompts show until an optimizer sets others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from dspec.grammar.tree import Item, Section, Setting
from dspec.runtime.running.strategies.table import added
from dspec.runtime.schema.program import Demo, Record, Signature
from dspec.runtime.schema.types import JsonValue, Row, Type
from dspec.runtime.values.checks import failures, record_failures
from dspec.runtime.values.interpret import names
from dspec.runtime.values.media import is_history, medium, medium_kind
from dspec.runtime.values.values import coerce

from ...data.media import stand_in
from ...diagnostics import codes
from ...tables.blocks import DEMO
from ..expressions.given import brought, given
from ..expressions.infer import infer, written_out
from ..expressions.scope import Scope
from ..session import Place, Session
from ..shape.attributes import settings
from ..symbols import Symbol
from ..types.declared import reachable
from ..types.kinds import NamedValue
from .records import records_lookup


def sections(items: tuple[Item, ...] | None) -> list[Section]:
    """The demos of a block."""
    return [item for item in items or () if isinstance(item, Section) and item.name.text == DEMO.name]


def written_demos(
    session: Session, place: Place, members: Mapping[str, NamedValue], asked: Signature
) -> tuple[Demo, ...]:
    """The demos that a signature has itself; `members` are its inputs and outputs. Reports those that cannot be shown, that
    leave something out, and that are there already."""
    records = reachable(session, [one.type for one in members.values()])
    fields_of = records_lookup(session)
    gaps = any((group := fields_of(key)) is None or group.open for key in records)
    found: list[tuple[Section, Demo]] = []
    for section in sections(place.declaration.items):
        before = len(session.findings)
        row = _row(session, place, section, members, asked)
        wrong = _has_errors(session, before) or any(not isinstance(item, Setting) for item in section.items)
        if (
            wrong
            or gaps
            or place.block.problems
            or not _complete(session, place, section, members, asked, row)
        ):
            continue
        row = _with_defaults(asked, row)
        values = settings(section.items)
        for name, why in _misfits(session, asked, records, row).items():
            at = place.at(values[name].value if name in values else section.name)
            session.report(codes.demos.CannotBeShown(at, name, why))
            wrong = True
        if wrong:
            continue
        if (refusal := _refusal(asked, records, row)) is not None:
            session.report(codes.demos.BreaksAssert(place.at(section.name), refusal))
            continue
        demo = _demo(asked, row)
        for other, shown in found:
            if shown.inputs == demo.inputs:
                same = shown.outputs == demo.outputs
                session.report(codes.demos.SameInputs(place.at(section.name), place.at(other.name), same))
                break
        found.append((section, demo))
    return tuple(demo for _, demo in found)


def inherited_demos(
    session: Session,
    symbol: Symbol,
    base: Symbol,
    demos: Iterable[Demo],
    below: Collection[str],
    members: Mapping[str, NamedValue],
    asked: Signature,
) -> tuple[Demo, ...]:
    """The demos that a signature has from its base, whose fields are `below`: those whose values it takes. Reports others,
    and fields that are not in them."""
    records = reachable(session, [one.type for one in members.values()])
    kept: list[Demo] = []
    refused: list[str] = []
    for demo in demos:
        row = _with_defaults(asked, {**demo.inputs, **demo.outputs})
        misfits = [f"`{name}`: {why}" for name, why in _misfits(session, asked, records, row).items()]
        refusal = misfits[0] if misfits else _refusal(asked, records, row)
        if refusal is None:
            kept.append(_demo(asked, row))
        else:
            refused.append(refusal)
    if refused:
        session.report(codes.demos.NotInherited(symbol.location, base.name, len(refused), refused[0]))
    absent = [one for name, one in members.items() if name not in below and not one.has_default]
    if kept and absent:
        places = tuple(at for one in absent if (at := one.location))
        session.report(
            codes.demos.BaseLeavesOut(symbol.location, base.name, tuple(one.name for one in absent), places)
        )
    return tuple(kept)


def shown_by(asked: Signature, signature: Signature, demos: Iterable[Demo]) -> tuple[Demo, ...]:
    """The demos of a signature as a predictor shows them that is `asked` otherwise: none where it does not answer with the
    signature's outputs, or is given none of its inputs."""
    answered = {one.name for one in asked.outputs}
    if not answered.issuperset(one.name for one in signature.outputs):
        return ()
    taken = {one.name for one in asked.inputs}
    found = (
        demo.model_copy(update={"inputs": {name: one for name, one in demo.inputs.items() if name in taken}})
        for demo in demos
    )
    return tuple(demo for demo in found if demo.inputs)


def _has_errors(session: Session, since: int) -> bool:
    return any(one.code.severity == "error" for one in session.findings[since:])


def _row(
    session: Session, place: Place, section: Section, members: Mapping[str, NamedValue], asked: Signature
) -> Row:
    """The values as they are written; reports what names no field, and what is no value of its field."""
    scope = Scope(session, place, {}, "a demo", records=records_lookup(session))
    row: Row = {}
    for name, item in settings(section.items).items():
        member = members.get(name)
        if member is None and place.block.problems:
            continue  # a field may stand in what could not be read
        if member is None:
            at, called = place.at(item.name), place.declaration.name
            session.report(
                codes.calls.NotOfTheSignature(
                    at, called.text if called else "", tuple(members), name in added()
                )
            )
            infer(scope, item.value)
            continue
        session.use(place, item.name, member.symbol)
        before = len(session.findings)
        code = given(scope, item.value, member)
        if _has_errors(session, before):
            continue
        value = written_out(scope, item.value, code, name)
        kind = medium_kind(member.type)
        if kind is not None and value is not None and session.probe:
            try:
                value = brought(session, value, kind)
            except ValueError as error:
                session.report(codes.values.NoMedium(place.at(item.value), name, str(error), kind))
        row[name] = value
    return row


def _complete(
    session: Session,
    place: Place,
    section: Section,
    members: Mapping[str, NamedValue],
    asked: Signature,
    row: Row,
) -> bool:
    """Whether a demo shows anything; reports one that does not, and fields that are left out."""
    filled = _with_defaults(asked, row)
    inputs = tuple(one.name for one in asked.inputs)
    outputs = tuple(one.name for one in asked.outputs)
    lacking = (
        inputs if filled.keys().isdisjoint(inputs) else (),
        outputs if filled.keys().isdisjoint(outputs) else (),
    )
    if any(lacking):
        session.report(codes.demos.ShowsNothing(place.at(section.name), *lacking))
        return False
    absent = tuple(name for name in members if name not in filled)
    if absent:
        places = tuple(at for name in absent if (at := members[name].location))
        session.report(codes.demos.LeavesOut(place.at(section.name), absent, places))
    return True


def _with_defaults(asked: Signature, row: Row) -> Row:
    defaults: Row = {one.name: one.default for one in asked.inputs if one.has_default}
    return {**defaults, **row}


def _demo(asked: Signature, row: Row) -> Demo:
    """The demo with its values in the order of the fields."""
    inputs, outputs = (
        {one.name: row[one.name] for one in fields if one.name in row}
        for fields in (asked.inputs, asked.outputs)
    )
    return Demo(inputs=inputs, outputs=outputs)


def _misfits(session: Session, asked: Signature, records: Mapping[str, Record], row: Row) -> dict[str, str]:
    """What is wrong with values, by field. The others are put into `row` as their types have them."""
    wrong: dict[str, str] = {}
    for field in (*asked.inputs, *asked.outputs):
        if field.name not in row or (medium_kind(field.type) is not None and not session.probe):
            continue
        try:
            row[field.name] = _as_type(row[field.name], field.type, records)
            if is_history(field.type):
                _turns(asked, row[field.name], records)
        except ValueError as error:
            wrong[field.name] = str(error)
    return wrong


def _as_type(value: JsonValue, kind: Type, records: Mapping[str, Record]) -> JsonValue:
    """A value as its type has it. Raises ValueError for one that is none. A medium whose bytes another process has read is
    one, too."""
    try:
        return coerce(value, kind, records)
    except ValueError:
        elsewhere = _elsewhere(value) if medium_kind(kind) is not None else value
        if elsewhere == value:
            raise
        with suppress(ValueError):
            coerce(elsewhere, kind, records)
            return value
        raise


def _elsewhere(value: JsonValue) -> JsonValue:
    """Media with others in their places whose bytes nobody needs."""
    if isinstance(value, list):
        return [_elsewhere(one) for one in value]
    known = medium(value) if isinstance(value, str) else None
    return value if known is None else stand_in(known.sign, known.kind)


def _turns(asked: Signature, value: JsonValue, records: Mapping[str, Record]) -> None:
    from dspec.runtime.adapters.turns import turns_of  # few signatures have a history

    turns_of(asked, value, records)


def _refusal(asked: Signature, records: Mapping[str, Record], row: Row) -> str | None:
    """The message of the first `assert` that the values break, of those that read nothing that is left out."""
    hard = [one for one in asked.checks if one.kind == "assert" and names(one.condition) <= row.keys()]
    fields = (*asked.inputs, *asked.outputs)
    broken = [one for one in record_failures(fields, row, records) if one.kind == "assert"] or failures(
        hard, row
    )
    return broken[0].message if broken else None
