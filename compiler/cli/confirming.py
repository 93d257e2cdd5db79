"""Asks before money is spent: a command says what it is expected to take and takes at most, and somebody answers.

Only where somebody can: standard input and output are a terminal that is not a CI's. Nobody is asked where nothing is to be
paid: models that are free, answers that are there already.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from .console import Exit, stderr

if TYPE_CHECKING:
    from .. import ir
    from ..compile.bills import Bill

YesOption = Annotated[
    bool,
    typer.Option(
        "--yes",
        "-y",
        help="Do not ask before money is spent. Nobody is asked either outside a terminal, in CI, or where all is free.",
    ),
]


class Stake(Struct, frozen=True):
    """What one part of a command takes: expected, at most, and where its own budget ends it."""

    what: str
    expected: Bill
    most: Bill
    budget: ir.Budget
    note: str = ""
    """Where the expectation comes from."""


def somebody_answers() -> bool:
    """Whether a person sits at both ends: no pipe, no CI, and no terminal that only shows."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def confirm(stakes: Sequence[Stake]) -> None:
    """Shows the parts that may cost something, and leaves unless the answer is yes. What is known to be free is not asked for."""
    from .plan import spell_amount

    dear = [one for one in stakes if one.most.calls and one.most.usd != 0.0]
    if not dear:
        return
    console = stderr()
    for one in dear:
        note = f" ({one.note})" if one.note else ""
        console.print(f"{one.what}", markup=False)
        console.print(f"  expected: {spell_amount(one.expected)}{note}", markup=False)
        console.print(f"  at most:  {spell_amount(one.most)}", markup=False)
        if (budget := _spelled(one.budget)) and not _lasts(one):
            console.print(f"  budget:   {budget}, where it ends", markup=False)
    if len(dear) > 1:
        console.print("in all", markup=False)
        console.print(f"  expected: {spell_amount(total(one.expected for one in dear))}", markup=False)
        console.print(f"  at most:  {spell_amount(total(one.most for one in dear))}", markup=False)
    if any(one.expected.usd is None for one in dear):
        console.print("price unknown: add `price { input = …; output = … }` to the lm", markup=False)
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return
    console.print("nothing was asked, and nothing spent; --yes goes on without the question", markup=False)
    raise typer.Exit(Exit.INTERRUPTED)


def total(bills: Iterable[Bill]) -> Bill:
    """All of them together."""
    from ..compile.bills import Bill

    return sum(bills, Bill())


def _spelled(budget: ir.Budget) -> str:
    from ..compile.affording import spell

    walls = budget.model_dump(exclude_none=True)
    return ", ".join(spell(unit, amount) for unit, amount in walls.items())


def _lasts(stake: Stake) -> bool:
    """Whether the budget cannot be what ends it."""
    if stake.budget.minutes is not None:
        return False
    return all(
        allowed is None or (bound is not None and bound <= allowed)
        for allowed, bound in (
            (stake.budget.usd, stake.most.usd),
            (stake.budget.calls, stake.most.calls),
            (stake.budget.tokens, stake.most.tokens),
        )
    )
