"""The chain that steps form: what each one tunes, and work that a later one throws away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import Span

from ... import ir
from ...diagnostics import codes
from ...diagnostics.fixes import ItemRoom
from ..session import Session
from .origins import DECLARED, Maker, Origin
from .step import StepInfo


def check_chain(
    session: Session, chain: Sequence[StepInfo], emit: str | None, origins: Mapping[str, Origin]
) -> Origin:
    """Report work that a later step throws away, and steps whose result nobody uses. Returns the origin of the result.

    `origins` has the block's own program under "", and other programs that steps start from under their keys.
    """
    made: dict[str, Mapping[str, Maker]] = {name: one.made for name, one in origins.items()}
    direct = {name: one.name for name, one in origins.items()}
    used: set[str] = set()
    ensembles = {name: one.where for name, one in origins.items() if one.ensemble and one.where is not None}
    for step, student in zip(chain, ir.origins(chain), strict=True):
        if step.spec is None or not step.clean:
            return DECLARED  # what it tunes, and from what, is unknown
        if step.spec.gathers:
            used |= {ref.program for ref in step.members}
            ensembles[step.name] = step.where
            continue
        if student in ensembles:
            argument, where = step.arguments.get("student"), ensembles[student]
            at = step.place.at(argument) if argument else step.where
            name = direct.get(student, student)
            session.report(codes.ensembles.TunesEnsemble(at, step.name, name, where, step.spec.takes_teacher))
            return DECLARED
        start = made.get(student, {})
        inside = (step, *step.nested.values())
        teachers = [name for one in inside for name in (one.teacher, *one.teachers)]
        used |= {name for name in (student, *teachers) if name}
        for what in sorted(step.spec.sets - step.spec.starts_from):
            maker = start.get(what)
            kept = maker is not None and bool(maker.places) and maker.places <= {*step.frozen}
            if kept or maker is None or step.teacher == maker.key:
                continue
            if maker.name == direct.get(student, student):
                room = _room(step) if maker.named and "teacher" not in step.arguments else None
                session.report(
                    codes.chains.WorkThrownAway(
                        step.where, step.name, step.spec.name, what, maker.name, maker.kind, maker.where, room
                    )
                )
        own = Maker(step.name, step.name, step.where, named=step.symbol is not None)
        made[step.name] = {**start, **dict.fromkeys(step.spec.sets, own)}
    last = emit or (chain[-1].name if chain else "")
    for step in chain:
        if step.name != last and step.name not in used:
            session.report(codes.chains.StepUnused(step.where, step.name, last))
    return Origin(ensemble=last in ensembles, made=made.get(last, {}))


def _room(step: StepInfo) -> ItemRoom | None:
    """Where the step takes a teacher, if it takes one."""
    if step.spec is None or step.call is None or not step.spec.takes_teacher:
        return None
    inner = step.place.text(step.call)[:-1].rstrip()
    end = step.call.span.start + len(inner)
    before = " " if inner.endswith(",") else "" if inner.endswith("(") else ", "
    return ItemRoom(step.place.at(Span(end, end)), before, "")
