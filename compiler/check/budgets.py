"""Budgets: walls that a run would meet before it has begun, and prices that nobody knows; and `on_error`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.runtime.prices import price

from .. import ir
from ..diagnostics import Label
from ..spelling import plural
from ..symbols import Symbol
from .attributes import Reader, number_of
from .lms import lm
from .rows import RowsInfo
from .runnable import Runnable
from .session import Session, insert_item
from .steps import StepInfo


def check_budget(
    session: Session,
    limits: Reader,
    tuned: Runnable,
    lms: Mapping[str, Symbol | None],
    chain: Sequence[StepInfo],
    rows: RowsInfo | None,
) -> None:
    """Report a wall in USD around models of unknown price, and one in calls that even the first score passes.

    `rows` are those that candidates are scored on; an eval has no `chain`.
    """
    if tuned.program is None:
        return
    if "usd" in limits.found and number_of(limits.found["usd"].value) is not None:
        for model in _models(session, tuned, lms, chain):
            _unpriced(session, limits, model)
    calls = limits.value("calls")
    allowed = number_of(calls) if calls is not None else None
    if calls is None or not isinstance(allowed, int) or rows is None or not rows.count:
        return
    per_run = tuned.program.calls_per_run()
    needed = rows.count * per_run
    if needed > allowed:
        place = limits.place
        session.report(
            "DS0702",
            f"the budget allows {plural(allowed, 'call')}, and scoring `{tuned.symbol.name}` once on "
            f"`{rows.text}` takes {needed:,}",
            place.at(calls),
            "spent before the first step" if chain else "spent before the last row",
            secondary=(Label(rows.location, f"{plural(rows.count, 'row')}, {plural(per_run, 'call')} each"),),
            help="`dspc plan` shows how many calls each step takes" if chain else "",
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


def _models(
    session: Session, tuned: Runnable, lms: Mapping[str, Symbol | None], chain: Sequence[StepInfo]
) -> list[Symbol]:
    """The models that a compile is sure to have in its prompts, each once."""
    assert tuned.program is not None
    found: dict[str, Symbol] = {}
    block = lms.get("lm")
    for address, predictor in tuned.program.predictors.items():
        model = block if block is not None and address in tuned.unbound else session.lms.get(predictor.lm)
        if model is not None:
            found.setdefault(model.key, model)
    for step in chain:
        for value in step.given.values():
            name = value.get("lm") if isinstance(value, dict) else None
            model = session.lms.get(name) if isinstance(name, str) else None
            if model is not None:
                found.setdefault(model.key, model)
    specs = [step.spec for step in chain if step.spec is not None]
    for name, asked in (
        ("teacher_lm", any(spec.takes_teacher for spec in specs)),
        ("prompt_lm", any(spec.prompts for spec in specs)),
    ):
        model = lms.get(name)
        if model is not None and asked:
            found.setdefault(model.key, model)
    return list(found.values())


def _unpriced(session: Session, limits: Reader, model: Symbol) -> None:
    settings = lm(session, model)
    if settings is None or price(settings) is not None:
        return
    ours = settings.api_base is not None or settings.api_base_env is not None
    line = "price { input = 0.0; output = 0.0 }" if ours else "price { input = 0.15; output = 0.60 }"
    session.report(
        "DS0710",
        f'the budget is in USD, and nobody knows what "{settings.model}" costs',
        limits.place.at(limits.found["usd"].value),
        "cannot be kept",
        secondary=(Label(model.location, "no price"),),
        help=f"write its price per million tokens in `{model.name}`, or give the budget in calls or tokens",
        fixes=insert_item(session.place(model), line, f"Insert `{line}`, to be filled in"),
    )
