"""The end of every search: candidates best first, and the winner."""

from __future__ import annotations

from collections.abc import Sequence

from ..evaluate.digests import program_digest
from ..evaluate.outcomes import Candidate, Seen
from ..evaluate.shares import perfect, said_perfect
from ..evaluate.tasks import Halt
from .base import Context, StepResult


def settled(scored: Sequence[Candidate], context: Context) -> bool:
    """Whether the search may end because nothing can be better than one of these."""
    return context.settles and any(perfect(candidate.scores) for candidate in scored)


def ranked(
    scored: Sequence[Candidate],
    *,
    cut: Halt | None = None,
    notes: tuple[str, ...] = (),
    rivals: tuple[Seen, ...] = (),
    ended: bool = False,
) -> StepResult:
    """The result of a search over `scored`, which holds at least one, in the order proposed.

    Of equal scores the one proposed first wins. Repeats of a program are left out. `rivals` are the
    scores of each program but the start, those included that a race ended early. `ended` says that the search ended because
    nothing can be better than the best.
    """
    distinct: dict[tuple[object, ...], Candidate] = {}
    for candidate in scored:
        program = candidate.program
        # A step that trains weights changes nothing but the models.
        models = tuple((one.lm, program.lms.get(one.lm)) for one in program.predictors.values())
        distinct.setdefault((program_digest(program), models), candidate)
    repeats = len(scored) - len(distinct)
    if repeats:
        notes += (f"{repeats} of {len(scored)} candidates came out like an earlier one",)
    best_first = tuple(sorted(distinct.values(), key=lambda candidate: -candidate.score))
    if ended:
        why = said_perfect(best_first[0].scores)
        notes += (f"ended at `{best_first[0].label}`: {why}, and nothing can score more",)
    return StepResult(best_first[0].program, best_first, notes, cut, rivals=rivals, ended=ended)


def chosen_from(result: StepResult, start: Sequence[float]) -> tuple[Seen, ...]:
    """What each program scored that a step chose from, but for one that scored as its `start` did: that is the start."""
    if result.rivals:
        return result.rivals
    found = [candidate.scores for candidate in result.candidates]
    if tuple(start) in found:
        found.remove(tuple(start))
    return tuple(found)
