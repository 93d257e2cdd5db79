"""Bounds what one session of `dspc dev` may take of its models, and counts what it has taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..diagnostics.wording import plural
from .console import say

if TYPE_CHECKING:
    from ..compile.prepared import Prepared
    from ..ir import Budget
    from .session import CommandSession


class Allowance:
    """Without limits only models that cost nothing are asked."""

    def __init__(self, max_calls: int | None, max_usd: float | None) -> None:
        self._max_calls, self._max_usd = max_calls, max_usd
        self._calls, self._usd = 0, 0.0
        """Of the engines that were closed."""
        self._open: CommandSession | None = None

    @property
    def limits(self) -> str:
        said = [] if self._max_calls is None else [plural(self._max_calls, "call")]
        said += [] if self._max_usd is None else [f"${self._max_usd:,.2f}"]
        return ", ".join(said)

    @property
    def taken(self) -> str:
        return f"{plural(self._calls, 'model call')} and ${self._usd:.4f}"

    def opened(self, session: CommandSession) -> None:
        """From now on counts what its engine takes."""
        self._open = session

    def closed(self) -> None:
        """Keeps the count of the engine that was opened, if one was."""
        if self._open is not None:
            calls, usd = _taken(self._open)
            self._calls, self._usd, self._open = self._calls + calls, self._usd + usd, None

    def trained(self, usd: float) -> None:
        """Counts a training, which is no call."""
        self._usd += usd

    def may_ask(self, prepared: Prepared, name: str, most: int) -> bool:
        """Whether the models of a block may be asked; where not, says why."""
        if self.limits or not _costs(prepared, name):
            return True
        say(
            f"{name} is to be compiled, in at most {plural(most, 'call')} as planned, and its models may cost something: "
            "give --max-calls or --max-usd for the whole session"
        )
        return False

    def _left(self, budget: Budget) -> Budget:
        """The budget, or what the session has left, where that is less."""
        calls, usd = self._calls, self._usd
        if self._open is not None:
            more = _taken(self._open)
            calls, usd = calls + more[0], usd + more[1]
        left: dict[str, float] = {}
        if self._max_calls is not None:
            left["calls"] = max(0, self._max_calls - calls)
        if self._max_usd is not None:
            left["usd"] = max(0.0, self._max_usd - usd)
        given = {unit: getattr(budget, unit) for unit in left}
        return budget.model_copy(
            update={
                unit: most if given[unit] is None else min(most, given[unit]) for unit, most in left.items()
            }
        )

    def bound(self, prepared: Prepared) -> None:
        """Has the blocks of a project end where the session's budget does."""
        project = prepared.project
        optimizes = {
            name: block.model_copy(update={"budget": self._left(block.budget)})
            for name, block in project.optimizes.items()
        }
        evals = {
            name: block
            if block.budget is None
            else block.model_copy(update={"budget": self._left(block.budget)})
            for name, block in project.evals.items()
        }
        prepared.project = project.model_copy(update={"optimizes": optimizes, "evals": evals})


def _taken(session: CommandSession) -> tuple[int, float]:
    """Calls and USD that an engine took, requests among them of which nobody said what they took."""
    tally = session.engine.tally
    return tally.calls + tally.spoiled, tally.spent.usd + tally.reserved.usd


def _costs(prepared: Prepared, name: str) -> bool:
    """Whether a model that a compile of the block asks may cost something."""
    from dspec.runtime.models.prices import price

    from ..compile.prepared import asked_in

    asked = asked_in(prepared.project, prepared.resolved(name))
    return any(price(lm) != (0.0, 0.0) for lm in asked)
