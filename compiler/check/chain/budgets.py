"""Reports budgets that the first score already passes, or in whose units a model's calls cannot be counted; and
reads `on_error`."""

from __future__ import annotations

from collections.abc import Iterable

from dspec.runtime.models.endpoints import split_model
from dspec.runtime.models.prices import price
from dspec.runtime.running.bounds import call_bounds

from ... import ir
from ...diagnostics import codes
from ...optimizers.base import FEWEST_COMPARED, LEAST_COMPARED
from ..declarations.lms import lm
from ..session import Session
from ..shape.attributes import Reader, number_of, settings
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from .asked import ModelsAsked
from .rows import RowsInfo
from .step import StepInfo


def check_models(session: Session, limits: Reader, asked: ModelsAsked) -> None:
    """Report models whose calls the wall cannot count: of unknown price, or with answers of unknown length."""
    walls = {
        unit: limits.place.at(setting.value)
        for unit, setting in limits.found.items()
        if (number_of(setting.value) or -1) > 0
    }
    for model in {**asked.answering, **asked.embedding}.values() if "usd" in walls else ():
        settings = lm(session, model)
        if settings is not None and price(settings) is None:
            own = settings.api_base is not None or settings.api_base_env is not None
            room = session.place(model).room
            session.report(codes.models.Unpriced(walls["usd"], settings.model, model.location, own, room))
    for model in {**asked.answering, **asked.spare}.values():
        unit = next((unit for unit in walls if _is_open(session, model, unit)), None)
        if unit is not None and model.key not in asked.limited:
            session.report(
                codes.models.AnyLength(walls[unit], unit, model.location, session.place(model).room)
            )


def check_calls(
    session: Session,
    limits: Reader,
    tuned: RunnableInfo,
    rows: RowsInfo | None,
    *,
    steps: bool,
    most: int | None = None,
) -> None:
    """Report a wall in calls that even the first score passes.

    `rows` are those that candidates are scored on, `most` of them where not all are sure to be; an eval has no `steps`.
    """
    if tuned.program is None:
        return
    calls = limits.value("calls")
    allowed = number_of(calls) if calls is not None else None
    if calls is None or not isinstance(allowed, int) or rows is None or not rows.count:
        return
    per_run = call_bounds(tuned.program).least
    count = rows.count if most is None else min(rows.count, most)
    if count * per_run > allowed:
        at, name = limits.place.at(calls), tuned.symbol.name
        session.report(codes.models.SpentAtOnce(at, allowed, name, rows.location, count, per_run, steps))


def least_compared(chain: Iterable[StepInfo]) -> int:
    """Rows of val that a block is sure to compare on which looks at enough of them, if it has as many."""

    def least(step: StepInfo) -> int:
        options = step.options()
        if step.spec is None or options is None or step.compat is not None:
            return LEAST_COMPARED
        return step.spec.compares_on(options, 0, 0)

    return max([FEWEST_COMPARED, *map(least, chain)])


def limited(limits: Reader | None) -> ir.Budget:
    """The walls as written; a value that was reported counts as no wall."""
    if limits is None:
        return ir.Budget()
    return ir.Budget(
        usd=limits.number("usd"),
        calls=limits.integer("calls"),
        tokens=limits.integer("tokens"),
        minutes=limits.number("minutes"),
    )


def on_error_of(read: Reader) -> ir.OnError:
    return "score_zero" if read.choice("on_error") == "score_zero" else "stop"


def _is_open(session: Session, model: Symbol, unit: str) -> bool:
    """True when the model's answers may be of any length and their length counts in that unit. In dollars it counts
    only where the price of an answer is known and is not zero."""
    asked = lm(session, model)
    if asked is None or "max_tokens" in settings(session.place(model).declaration.items):
        return False
    if split_model(asked.model)[0] == "embedded":
        return False  # it has no such limit, and its answers are those of its examples
    each = price(asked)
    return unit == "tokens" or (unit == "usd" and each is not None and each.output > 0)
