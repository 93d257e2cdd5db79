"""The end of a search that chooses models: its best program is also scored on others, so that there is a good program on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..evaluate.digests import asked_digest
from ..evaluate.outcomes import Candidate
from ..evaluate.tasks import Halt, together
from .base import Context

if TYPE_CHECKING:
    from ..search import Arm, Board


def moved_arms(board: Board, context: Context) -> list[Arm]:
    """The board's best program on other models: those that the board does not know yet. None where the search may end, or
    where no model is open."""
    from ..search import Arm  # a check reads the table of optimizers, and does not need a search

    if context.models.ways == 1 or board.settled:
        return []
    return [
        Arm(one.label, one.program)
        for one in _around(board.candidates(), board.incumbent, context)
        if not board.knows(one.program)
    ]


async def scored_moved(scored: Sequence[Candidate], context: Context) -> tuple[list[Candidate], Halt | None]:
    """Scores the best of the candidates on other models, on all rows, for searches that score every candidate so. The first of
    `scored` is what the search started from. A halt is returned, not raised."""
    if context.models.ways == 1:
        return [], None
    known = {asked_digest(one.program) for one in scored}

    async def score(one: Arm) -> Candidate:
        evaluation = await context.evaluator.evaluate(one.program, context.val, label=one.label)
        return Candidate(one.label, one.program, evaluation.scores)

    arms = [one for one in _around(scored, scored[0], context) if asked_digest(one.program) not in known]
    found = await together([score(one) for one in arms], lambda one: context.progress(one.label, one.score))
    halt = next((one for one in found if not isinstance(one, Candidate)), None)
    return [one for one in found if isinstance(one, Candidate)], halt


def _around(scored: Sequence[Candidate], start: Candidate | Arm, context: Context) -> list[Arm]:
    from ..search import Arm  # as in `moved_arms`

    models = context.models
    best = max(scored, key=lambda one: one.score)  # of equal ones the first
    label = best.label.removesuffix(models.said(best.program, start.program))
    return [
        Arm(label + models.said(program, start.program), program)
        for program in models.around(best.program, context.room)
    ]
