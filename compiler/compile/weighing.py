"""What a compile makes of what its programs cost: their front, the cheapest that is good enough, and those that are kept.

A compile's runs are remembered, so nothing is asked for it; but to look up what a thousand answers took of every program takes
time, so it is done only for who wants to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from dspec.runtime.artifact.artifact import KeptCandidate
from dspec.runtime.schema.ensemble import Runnable

from .. import ir
from ..evaluate.evaluation import Evaluation, Evaluator
from ..evaluate.outcomes import Candidate
from ..optimizers.base import StepResult
from ..optimizers.ranking import chosen_from
from .evals import score_of
from .offers import (
    COUNTED_ON,
    Chosen,
    PerAnswer,
    ScoredProgram,
    choose,
    distinct,
    unit_of,
    worth_keeping,
)
from .prepared import Resolved


def wants_weighing(optimize: ir.Optimize) -> bool:
    """Whether the block's result depends on what answers take."""
    return optimize.minimize is not None or optimize.keep > 0


async def weighed(
    evaluator: Evaluator,
    resolved: Resolved,
    baseline: Evaluation | None,
    steps: Iterable[tuple[str, StepResult]],
    result: ScoredProgram | None,
) -> list[ScoredProgram]:
    """Every program that was scored on all rows, with what an answer of it takes: the start, the candidates of the steps, and the
    result, which may be one of them."""
    rows, scored_on = resolved.raced[:COUNTED_ON], len(resolved.raced)
    found = [] if baseline is None else [("", Candidate("baseline", resolved.student, baseline.scores))]
    found += [
        (name, candidate)
        for name, one in steps
        if one.scored_on in (None, resolved.raced)
        for candidate in one.candidates
    ]
    offers = [
        unweighed(name, one.label, one.program, one.scores, one.score)
        for name, one in found
        if len(one.scores) == scored_on
    ]
    offers += [] if result is None else [result]
    weighing = [
        (offer, PerAnswer.of(*await evaluator.took(offer.program, rows))) for offer in distinct(offers)
    ]
    return [replace(offer, takes=takes) for offer, takes in weighing if takes is not None]


def unweighed(
    step: str, label: str, program: Runnable, scores: Sequence[float], score: float
) -> ScoredProgram:
    """A program of which it is not known yet what an answer takes."""
    return ScoredProgram(step, label, program, tuple(scores), score, PerAnswer(None, 0.0, 0.0))


def cheapest(
    optimize: ir.Optimize,
    offers: Sequence[ScoredProgram],
    baseline: Evaluation | None,
    results: Iterable[StepResult],
) -> Chosen | None:
    """Where the block says what to minimize: the cheapest program that is certain to reach its gate."""
    if optimize.minimize is None or optimize.gate is None:
        return None
    scores = () if baseline is None else baseline.scores
    tried = 1 + sum(len(chosen_from(one, scores)) for one in results)
    return choose(offers, optimize.minimize, optimize.gate, tried)


def kept_candidates(
    optimize: ir.Optimize, metric: str, offers: Sequence[ScoredProgram]
) -> tuple[KeptCandidate, ...]:
    """The candidates that the block asks to keep."""
    if not optimize.keep:
        return ()
    unit = optimize.minimize or unit_of(offers)
    return worth_keeping(offers, unit, optimize.keep, lambda scores: score_of(metric, scores))
