"""Checks budgets against plans: what a compile is expected to take, and takes at most.

One that repeats the last whole compile takes nothing.

It stands above the front end, since only a plan knows; a check is given it, and calls it for files without errors. Nothing of
the plan is imported for a file whose blocks have no budget that could be short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.errors import DspecError

from .. import ir
from ..diagnostics import codes
from ..diagnostics.wording import metered

if TYPE_CHECKING:
    from ..check.session import Session
    from .bills import Bill

UNITS = ("usd", "calls", "tokens")


class Shortfall(Struct, frozen=True):
    """A unit of which a budget has less than a compile takes at most; `short` where that is less than is expected."""

    unit: str
    budget: str
    expected: str
    most: str
    short: bool


def shortfalls(budget: ir.Budget, expected: Bill, most: Bill) -> Iterator[Shortfall]:
    """The units that may not last. Without a bound only what is expected is told."""
    for unit in UNITS:
        allowed, likely, bound = getattr(budget, unit), getattr(expected, unit), getattr(most, unit)
        if allowed is None or likely is None:
            continue
        if allowed < likely or (bound is not None and allowed < bound):
            texts = (spell(unit, one) for one in (allowed, likely, bound))
            yield Shortfall(unit, *texts, short=allowed < likely)


def spell(unit: str, amount: float | None) -> str:
    if amount is None:
        return "any amount"
    if unit == "usd":
        return f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}"
    return metered(unit, amount)


def check_budgets(session: Session, lowered: Callable[[], ir.Project]) -> None:
    """Reports budgets of the file's own optimize blocks that may end their compile."""
    from ..check.chain.optimize import optimize

    found = {
        symbol.key: info.limits
        for symbol in session.main.symbols.values()
        if symbol.kind == "optimize" and (info := optimize(session, symbol)) is not None and info.limits
    }
    walls = {name: limits for name, limits in found.items() if any(unit in limits.found for unit in UNITS)}
    if not walls:
        return
    project = lowered()
    walls = {
        name: limits
        for name, limits in walls.items()
        if not _costs_nothing(project, project.optimizes[name].budget) and not _far(session, project, name)
    }
    if not walls:
        return
    from ..data.needs import compile_needs
    from ..project.reads import looked_at
    from ..project.state import state_place
    from .changes import recall, record_path, repeats, snapshot
    from .plan import plan
    from .prepared import Prepared

    for name, limits in walls.items():
        if project.needed(name):
            continue  # what it starts from is not there yet
        record = record_path(state_place(session.root), session.main.source.path, name)
        looked_at(record)
        known = recall(record)
        seen = {} if known is None else known.seen
        try:
            prepared = Prepared(project, session.folder, compile_needs(project, [name]))
            if known is not None and repeats(known, snapshot(prepared, name)):
                continue
            made = plan(prepared, name)
        except DspecError:
            continue  # rows that cannot be read are told of already
        expected = made.expected(seen)
        for one in shortfalls(project.optimizes[name].budget, expected, made.maximum):
            place = limits.place.at(limits.found[one.unit].value)
            if any(isinstance(it, codes.models.SpentAtOnce) and it.where == place for it in session.reported):
                continue  # which says more
            session.report(
                codes.models.MayEnd(
                    place,
                    name,
                    one.budget,
                    one.expected,
                    one.most,
                    bool(seen),
                    one.short,
                )
            )


def _costs_nothing(project: ir.Project, budget: ir.Budget) -> bool:
    """Whether the budget is in USD alone and all models are free."""
    from dspec.runtime.models.prices import costs_nothing

    if budget.calls is not None or budget.tokens is not None:
        return False
    return costs_nothing(project.lms.values())


def _far(session: Session, project: ir.Project, name: str) -> bool:
    """Whether some of its rows are elsewhere, or too many for a check to read them all."""
    from ..data.needs import compile_needs, sources
    from ..data.sources.table import is_fetched

    needed = sources(project, compile_needs(project, [name]))
    return bool(session.sampled) or any(map(is_fetched, needed))
