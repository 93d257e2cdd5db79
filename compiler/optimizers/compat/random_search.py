"""DSPy's BootstrapFewShotWithRandomSearch: candidates −3 to N−1, one after another, all on the whole of val.

The program as it came is no candidate: what the search starts from is the student without its demos. With
`max_bootstrapped_demos = 0`, where DSPy's shuffled sets fail, they have labelled rows only.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ...evaluate.counts import Calls, Range
from ...evaluate.outcomes import Candidate
from ..base import Context, Facts, Options, StepResult
from ..bootstrap_few_shot import teacher_calls
from ..demos import without_demos
from ..random_search import LABELS_ONLY, UNSHUFFLED, ZERO_SHOT, selected
from .faithful import Faithful, best_first, percent
from .few_shot import bootstrapped, labeled

if TYPE_CHECKING:
    from ...data.rows import Rows


async def run(student: Program, options: Options, context: Context) -> StepResult:
    target = options.number("stop_at_score")
    scored: list[Candidate] = []
    for number in selected(options):
        try:
            program = await _proposed(student, number, options, context)
            label = f"seed {number}"
            evaluation = await context.evaluator.evaluate(program, context.val, label=label)
        except (BudgetExceeded, Stopped) as halt:
            if not scored:
                raise
            return best_first(scored, cut=halt)
        scored.append(Candidate(label, program, evaluation.scores))
        context.progress(label, scored[-1].score)
        if target is not None and percent(evaluation.scores) >= 100 * target:
            return best_first(scored, notes=(f"stopped at `{label}`: it reached {target:g}",))
    return best_first(scored)


async def _proposed(student: Program, number: int, options: Options, context: Context) -> Program:
    labels = options.integer("max_labeled_demos")
    most = options.integer("max_bootstrapped_demos")
    if number == ZERO_SHOT:
        return without_demos(student)
    if number == LABELS_ONLY:
        return labeled(student, context.train, labels, sample=options.flag("labeled_sample"))
    rows, size = (context.train, most) if number == UNSHUFFLED else shuffled(context.train, number, most)
    program, halt = await bootstrapped(student, rows, options, context, demos=size, labels=labels)
    if halt is not None:
        raise halt
    return program


def shuffled(rows: Rows, seed: int, most: int) -> tuple[Rows, int]:
    """A set's order of the rows and its number of demos, from two generators with the same seed."""
    order = list(rows)
    random.Random(seed).shuffle(order)  # noqa: S311 - DSPy's seeds
    return tuple(order), random.Random(seed).randint(1, most) if most else 0  # noqa: S311


def _calls(options: Options, facts: Facts) -> Calls:
    numbers = selected(options)
    most = options.integer("max_bootstrapped_demos")
    scoring = facts.val * facts.calls_per_run
    sets = sum(number >= UNSHUFFLED for number in numbers)
    once = teacher_calls(most, options, facts)
    # Sets share a run of the teacher only where they draw the same labels for it: two sets may not.
    teacher = Range(min(once.least, facts.teacher_calls) if sets else 0, once.most * sets)
    known = facts.student_scored and facts.student_bare and ZERO_SHOT in numbers
    scored = scoring * (len(numbers) - known)
    if options.number("stop_at_score") is not None:
        return Calls(Range(0, scored), Range(0, teacher.most))
    return Calls(Range(scoring if ZERO_SHOT in numbers and not known else 0, scored), teacher)


FAITHFUL = Faithful(run, _calls, unknown=("search",))
