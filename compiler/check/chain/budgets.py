"""Budgets: walls that a run would meet before it has begun or that no one can keep; and `on_error`."""

from __future__ import annotations

from dspec.runtime.models.endpoints import split_model
from dspec.runtime.models.prices import price
from dspec.runtime.running.strategies.table import calls_per_run

from ... import ir
from ...diagnostics.codes import report
from ...diagnostics.record import Diagnostic, Label
from ...diagnostics.wording import plural
from ..declarations.lms import lm
from ..session import Session, insert_item
from ..shape.attributes import Reader, number_of, settings
from ..symbols import Symbol
from ..types.declared import Runnable
from .asked import Asked
from .rows import RowsInfo


def check_models(session: Session, limits: Reader, asked: Asked) -> None:
    """Report models whose calls the wall cannot count: of unknown price, or with answers of unknown length.

    Each once for one wall, which a block and its evals may share.
    """
    units = [unit for unit in limits.found if (number_of(limits.found[unit].value) or -1) > 0]
    if "usd" in units:
        for model in {**asked.answering, **asked.embedding}.values():
            _report_once(session, _unpriced(session, limits, model))
    for model in {**asked.answering, **asked.spare}.values():
        unit = next((unit for unit in units if _is_open(session, model, unit)), None)
        if unit is not None:
            _report_once(session, _unbounded(session, limits, unit, model))


def check_calls(
    session: Session, limits: Reader, tuned: Runnable, rows: RowsInfo | None, *, steps: bool
) -> None:
    """Report a wall in calls that even the first score passes.

    `rows` are those that candidates are scored on; an eval has no `steps`.
    """
    if tuned.program is None:
        return
    calls = limits.value("calls")
    allowed = number_of(calls) if calls is not None else None
    if calls is None or not isinstance(allowed, int) or rows is None or not rows.count:
        return
    per_run = calls_per_run(tuned.program)
    needed = rows.count * per_run
    if needed > allowed:
        place = limits.place
        session.report(
            "DS0702",
            f"the budget allows {plural(allowed, 'call')}, and scoring `{tuned.symbol.name}` once on "
            f"`{rows.text}` takes {needed:,}",
            place.at(calls),
            "spent before the first step" if steps else "spent before the last row",
            secondary=(Label(rows.location, f"{plural(rows.count, 'row')}, {plural(per_run, 'call')} each"),),
            help="`dspc plan` shows how many calls each step takes" if steps else "",
        )


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


def _report_once(session: Session, found: Diagnostic | None) -> None:
    if found is not None and found not in session.diagnostics:
        session.diagnostics.append(found)


def _unpriced(session: Session, limits: Reader, model: Symbol) -> Diagnostic | None:
    asked = lm(session, model)
    if asked is None or price(asked) is not None:
        return None
    ours = asked.api_base is not None or asked.api_base_env is not None
    line = "price { input = 0.0; output = 0.0 }" if ours else "price { input = 0.15; output = 0.60 }"
    return report(
        "DS0710",
        f'the budget is in USD, and nobody knows what "{asked.model}" costs',
        limits.place.at(limits.found["usd"].value),
        "cannot be kept",
        secondary=(Label(model.location, "no price"),),
        help=f"write its price per million tokens in `{model.name}`, or give the budget in calls or tokens",
        fixes=insert_item(session.place(model), line, f"Insert `{line}`, to be filled in"),
    )


def _is_open(session: Session, model: Symbol, unit: str) -> bool:
    """True when answers of any length count in that unit. One whose price is not known yet is let be till then."""
    asked = lm(session, model)
    if asked is None or "max_tokens" in settings(session.place(model).declaration.items):
        return False
    if split_model(asked.model)[0] == "embedded":
        return False  # it has no such limit, and its answers are those of its examples
    each = price(asked)
    return unit == "tokens" or (unit == "usd" and each is not None and each.output > 0)


def _unbounded(session: Session, limits: Reader, unit: str, model: Symbol) -> Diagnostic:
    return report(
        "DS0711",
        f"the budget is in {'USD' if unit == 'usd' else unit}, and lm `{model.name}` has no `max_tokens`: "
        "how much an answer may take is only estimated",
        limits.place.at(limits.found[unit].value),
        "could be passed",
        secondary=(Label(model.location, "no `max_tokens`"),),
        help=f"write `max_tokens = …` in lm `{model.name}`",
        fixes=insert_item(
            session.place(model), "max_tokens = 1000", "Insert `max_tokens = 1000`, to be filled in"
        ),
    )
