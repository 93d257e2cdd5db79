"""`--budget`, and what ends a command whose options and whose file name no amount: the project's `[budget]`.

What is named closest counts, unit by unit: the option, then the block of the file, then the project's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, fail, say

if TYPE_CHECKING:
    from .. import ir

BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="UNIT=N",
        help="A hard wall for each block: usd, calls, tokens or minutes; several may be given. Before the block's own "
        "`budget`, which is before `[budget]` of dspec.toml.",
        show_default=False,
    ),
]


def read_budget(given: Sequence[str]) -> ir.Budget:
    """The walls named on the command line."""
    from .. import ir

    walls: dict[str, float | int] = {}
    for text in given:
        unit, _, number = text.partition("=")
        try:
            value = float(number) if unit in ("usd", "minutes") else int(number)
            known = unit in ir.Budget.model_fields and 0 < value < float("inf")
        except ValueError:
            known = False
        else:
            walls[unit] = value
        if not known:
            fail(
                f"`{text}` is no budget",
                help="write --budget usd=5, or calls, tokens or minutes, and a number above 0",
                code=Exit.USAGE,
            )
    return ir.Budget.model_validate(walls)


def over_settings(path: Path, budget: ir.Budget) -> ir.Budget:
    """The budget, with the project's own in the units that it lacks, which is said."""
    from ..diagnostics.settings import read_settings
    from ..project.state import project_root

    settings = read_settings(project_root(path))
    own = budget.model_dump(exclude_none=True)
    added = {unit: amount for unit, amount in settings.budget.items() if unit not in own}
    if not added:
        return budget
    from ..compile.affording import spell

    say(f"budget of {settings.name}: {', '.join(spell(unit, amount) for unit, amount in added.items())}")
    return budget.model_copy(update=added)


def with_budgets(project: ir.Project, path: Path, given: Sequence[str] | None) -> ir.Project:
    """The project of the file at `path`, each of its blocks within what was `given` and the settings' budget.

    An eval that has no budget of its own stays within that of the block it scores.
    """
    from .. import ir

    option = read_budget(given or ())
    named = option.model_dump(exclude_none=True)
    settings = over_settings(path, ir.Budget()).model_dump(exclude_none=True)
    if not named and not settings:
        return project

    def within(budget: ir.Budget) -> ir.Budget:
        return ir.Budget.model_validate({**settings, **budget.model_dump(exclude_none=True), **named})

    optimizes = {
        name: block.model_copy(update={"budget": within(block.budget)})
        for name, block in project.optimizes.items()
    }
    evals = {
        name: block
        if block.budget is None and block.program in optimizes
        else block.model_copy(update={"budget": within(block.budget or ir.Budget())})
        for name, block in project.evals.items()
    }
    return project.model_copy(update={"optimizes": optimizes, "evals": evals})
