"""`compat = "dspy"`, of a step or of the whole block: can the optimizers run on DSPy's schedule?

What a step says overrides what the block says, so `compat = none` takes one step out. An optimizer inside
another one follows that.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ...diagnostics import codes
from ...optimizers.base import Spec
from ...optimizers.compat.table import FAITHFUL
from ..session import Session
from .step import StepInfo


def with_compat(session: Session, chain: Sequence[StepInfo], block: str | None) -> list[StepInfo]:
    """The steps, each with the schedule that it runs on; reports optimizers that cannot run on DSPy's."""
    found: list[StepInfo] = []
    for step in chain:
        compat = step.compat if "compat" in step.arguments or block is None else "dspy"
        if compat is not None:
            for one in (step, *step.nested.values()):
                _check(session, one)
        spec = step.spec if compat is None else _as_it_runs(step.spec)
        found.append(structs.replace(step, compat=compat, spec=spec))
    return found


def _as_it_runs(spec: Spec | None) -> Spec | None:
    """The optimizer's record as it is on DSPy's schedule."""
    faithful = None if spec is None else FAITHFUL.get(spec.name)
    if spec is None or faithful is None or not faithful.splits:
        return spec
    return structs.replace(spec, needs_val=False)


def _check(session: Session, step: StepInfo) -> None:
    if step.spec is None or step.call is None:
        return
    name = step.spec.name
    faithful = FAITHFUL.get(name)
    if faithful is None:
        node = step.arguments.get("compat", step.call.callee)
        session.report(codes.optimizers.WithoutSchedule(step.place.at(node), name))
        return
    for option in faithful.unknown:
        if option in step.arguments:
            session.report(
                codes.optimizers.NotOnSchedule(step.place.at(step.arguments[option]), name, option)
            )
