"""What a faithful run is, and what all of them share: DSPy's score, and candidates in DSPy's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ...evaluate.counts import Calls
from ...evaluate.outcomes import Candidate
from ...evaluate.shares import overall, shares_of
from ...evaluate.tasks import Halt
from ..base import Facts, OptimizerError, Options, Run, StepResult

if TYPE_CHECKING:
    from ...data.rows import Rows


class Faithful(Struct, frozen=True):
    """An optimizer as DSPy has it: `run` and `calls` stand in for those of its table entry."""

    run: Run
    calls: Callable[[Options, Facts], Calls]
    unknown: tuple[str, ...] = ()
    """Options that DSPy does not have and that its schedule leaves no room for."""
    scores_val: bool = True
    """False when candidates are scored on other rows than the block's val."""
    splits: bool = False
    """True when rows of train become val where the block names none, so that the step needs none."""
    refuses: Callable[[Options, Facts], OptimizerError | None] = lambda options, facts: None
    """Why the schedule cannot run with these options on so many rows; the check asks it, and so does the run."""


def percent(scores: Sequence[float]) -> float:
    """A score as DSPy compares it: of 100, with two decimals."""
    return round(100 * (overall(scores) if shares_of(scores) else sum(scores) / len(scores)), 2)


def best_first(
    scored: Sequence[Candidate],
    *,
    cut: Halt | None = None,
    notes: tuple[str, ...] = (),
    scored_on: Rows | None = None,
) -> StepResult:
    """Every candidate, repeats too; of equal scores the one proposed first wins."""
    candidates = tuple(sorted(scored, key=lambda candidate: -percent(candidate.scores)))
    return StepResult(candidates[0].program, candidates, notes, cut, scored_on)
