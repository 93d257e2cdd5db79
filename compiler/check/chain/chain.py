"""The chain that steps form: what each one tunes, and work that a later one throws away."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.grammar.tree import Span

from ... import ir
from ...diagnostics.record import Edit, Fix, Label
from ..session import Place, Session
from .step import StepInfo


def check_chain(session: Session, place: Place, chain: Sequence[StepInfo], emit: str | None) -> None:
    """Report work that a later step throws away, and steps whose result nobody uses."""
    tuned: dict[str, dict[str, str]] = {}
    used: set[str] = set()
    by_name = {step.name: step for step in chain}
    for step, student in zip(chain, ir.origins(chain), strict=True):
        if step.spec is None or not step.clean:
            return  # what it tunes, and from what, is unknown
        if step.spec.gathers:
            used |= {ref.program for ref in step.members}
            tuned[step.name] = {}
            continue
        if student in by_name and _is_ensemble(by_name[student]):
            _untunable(session, place, by_name[student], step)
            return
        start = tuned.get(student, {})
        teachers = (step.teacher, *(inner.teacher for inner in step.nested.values()))
        used |= {name for name in (student, *teachers) if name}
        for what in sorted(step.spec.sets - step.spec.starts_from):
            maker = start.get(what)
            if maker is not None and step.teacher != maker and student == maker:
                _discards(session, place, by_name[maker], step, what)
        tuned[step.name] = {**start, **dict.fromkeys(step.spec.sets, step.name)}
    last = emit or (chain[-1].name if chain else None)
    for step in chain:
        if step.name != last and step.name not in used:
            session.report(
                "DS0621",
                f"the result of step `{step.name}` is never used",
                place.at(step.node.name or step.node),
                "paid for, not used",
                help=f"no later step starts from it, and `{last}` is what is written",
            )


def _is_ensemble(step: StepInfo) -> bool:
    return step.spec is not None and step.spec.gathers


def _untunable(session: Session, place: Place, ensemble: StepInfo, step: StepInfo) -> None:
    assert step.spec is not None
    primary = step.arguments.get("student", step.node.name or step.node)
    hint = f"tune its members before, or pass it as `teacher = {ensemble.name}`"
    session.report(
        "DS0623",
        f"step `{step.name}` would tune `{ensemble.name}`, and an ensemble cannot be tuned",
        place.at(primary),
        "starts from an ensemble",
        secondary=(Label(place.at(ensemble.node.name or ensemble.node), "an ensemble"),),
        help=f"{hint} with another `student`" if step.spec.takes_teacher else "tune its members before",
    )


def _discards(session: Session, place: Place, maker: StepInfo, step: StepInfo, what: str) -> None:
    assert step.spec is not None
    assert maker.spec is not None
    fixes: tuple[Fix, ...] = ()
    hint = f"remove the step `{maker.name}`"
    if step.spec.takes_teacher and step.call is not None and maker.symbol and "teacher" not in step.arguments:
        hint = f"learn from it with `teacher = {maker.name}`, or {hint}"
        text = place.text(step.call)
        inner = text[:-1].rstrip()
        comma = "" if inner.endswith(("(", ",")) else ", "
        end = step.call.span.start + len(inner)
        where = Span(end, end)
        fixes = (
            Fix(
                f"Pass `teacher = {maker.name}`",
                (
                    Edit(
                        place.at(where), f"{comma}{' ' if inner.endswith(',') else ''}teacher = {maker.name}"
                    ),
                ),
                "maybe",
            ),
        )
    session.report(
        "DS0610",
        f"step `{step.name}` throws away the {what} that step `{maker.name}` made",
        place.at(step.node.name or step.node),
        f"`{step.spec.name}` replaces the {what} of its student",
        secondary=(Label(place.at(maker.node.name or maker.node), f"`{maker.name}` makes {what} here"),),
        help=hint,
        fixes=fixes,
    )
