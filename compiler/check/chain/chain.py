"""The chain that steps form: what each one tunes, and work that a later one throws away."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.grammar.tree import Span

from ... import ir
from ...diagnostics import codes
from ...diagnostics.fixes import ItemRoom
from ..session import Session
from .step import StepInfo


def check_chain(session: Session, chain: Sequence[StepInfo], emit: str | None) -> None:
    """Report work that a later step throws away, and steps whose result nobody uses."""
    tuned: dict[str, dict[str, StepInfo]] = {}
    used: set[str] = set()
    ensembles: dict[str, StepInfo] = {}
    for step, student in zip(chain, ir.origins(chain), strict=True):
        if step.spec is None or not step.clean:
            return  # what it tunes, and from what, is unknown
        if step.spec.gathers:
            used |= {ref.program for ref in step.members}
            ensembles[step.name] = step
            continue
        if student in ensembles:
            argument, made = step.arguments.get("student"), ensembles[student].where
            where = step.place.at(argument) if argument else step.where
            session.report(
                codes.optimizers.TunesEnsemble(where, step.name, student, made, step.spec.takes_teacher)
            )
            return
        start = tuned.get(student, {})
        teachers = (step.teacher, *(inner.teacher for inner in step.nested.values()))
        used |= {name for name in (student, *teachers) if name}
        for what in sorted(step.spec.sets - step.spec.starts_from):
            maker = start.get(what)
            if maker is not None and step.teacher != maker.name and student == maker.name:
                room = _room(step) if maker.symbol and "teacher" not in step.arguments else None
                session.report(
                    codes.optimizers.WorkThrownAway(
                        step.where, step.name, step.spec.name, what, maker.name, maker.where, room
                    )
                )
        tuned[step.name] = {**start, **dict.fromkeys(step.spec.sets, step)}
    last = emit or (chain[-1].name if chain else "")
    for step in chain:
        if step.name != last and step.name not in used:
            session.report(codes.optimizers.StepUnused(step.where, step.name, last))


def _room(step: StepInfo) -> ItemRoom | None:
    """Where the step takes a teacher, if it takes one."""
    if step.spec is None or step.call is None or not step.spec.takes_teacher:
        return None
    inner = step.place.text(step.call)[:-1].rstrip()
    end = step.call.span.start + len(inner)
    before = " " if inner.endswith(",") else "" if inner.endswith("(") else ", "
    return ItemRoom(step.place.at(Span(end, end)), before, "")
