"""What a compile gives: the artifact, and what its steps did, cost and scored."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from dspec.runtime.artifact.artifact import Artifact

from ..evaluate.evaluation import Evaluation
from ..evaluate.meter import Account
from ..evaluate.statistics import Paired
from ..evaluate.toolfailures import ToolFailure
from ..optimizers.base import StepResult
from .offers import Chosen, ScoredProgram, front, unit_of
from .plan import Plan, StepPlan
from .selection import LastWord

Status = Literal["complete", "budget", "stopped"]


class StepOutcome(Struct, frozen=True):
    """One step that ran: calls `planned`, and what it `spent` beyond the steps before it."""

    name: str
    optimizer: str
    planned: StepPlan
    spent: Account
    result: StepResult
    verdict: LastWord | None = None
    """Its result against what it was given, on the rows that it compared on; None where it did not score both."""
    saves: bool = False
    """Whether it is judged by what it saves (`Spec.saves`)."""

    @property
    def said(self) -> str | None:
        """In a clause, what the verdict is."""
        if self.verdict is None or not self.saves:
            return self.verdict and self.verdict.said
        pair = self.verdict.comparison
        return (
            f"judged by what it saves; the score is {100 * pair.difference:+.1f} beside what it was given "
            f"({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"
        )


class Built(Struct, frozen=True):
    """A compile's result. `final` is what the program in the artifact scored, of a compile that was cut short what it had scored
    by then; both scores are None where none were asked for.

    `verdict` compares what the steps made with the program they started from, on the rows both were scored
    on; where it shows no real improvement, the artifact holds the latter (`selection`), and `final` is its score.
    """

    artifact: Artifact
    status: Status
    plan: Plan
    steps: tuple[StepOutcome, ...]
    spent: Account
    baseline: Evaluation | None
    final: Evaluation | None
    verdict: LastWord | None
    notes: tuple[str, ...]
    offers: tuple[ScoredProgram, ...] = ()
    """Every program that was scored on all rows, with what an answer of it takes, as far as that was wanted."""
    chosen: Chosen | None = None
    """The cheapest of them, where the block says what to minimize; its offer is the result, if there is one."""
    tools: tuple[ToolFailure, ...] = ()
    """Tools that failed; `notes` tell of each."""
    ended_by_tools: int = 0
    """Runs that a failed tool ended."""
    corrected: float | None = None
    """The score of `final` without the luck of having been chosen by it; None where there is no such luck, or nobody knows it."""

    @property
    def comparison(self) -> Paired | None:
        """What the steps made against the start."""
        return None if self.verdict is None else self.verdict.comparison

    @property
    def without_luck(self) -> float | None:
        """What is left of the score of `final` without its luck: all of it where there is none, or nobody knows it."""
        if self.corrected is not None:
            return self.corrected
        return None if self.final is None else round(self.final.score, 6)

    @property
    def front(self) -> list[ScoredProgram]:
        """The offers that no other beats in both score and cost, the cheapest first."""
        unit = self.chosen.unit if self.chosen is not None else unit_of(self.offers)
        return front(self.offers, unit)

    @property
    def missed(self) -> bool:
        """Whether it was to give the cheapest program that reaches a gate, and none does for certain."""
        return self.chosen is not None and self.chosen.offer is None

    @property
    def ended(self) -> bool:
        """Whether it took less than planned since nothing can be better than what was found, or was there before."""
        settled = self.status == "complete" and not self.steps
        return settled or any(step.result.ended for step in self.steps)
