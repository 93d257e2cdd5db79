"""DSPy's BetterTogether: the first rows of train as val, one generator for all shuffles, the best step wins.

The nested optimizers run on DSPy's schedule, too. DSPy's generator has no seed unless one is given; here it
has the block's. A step that fails ends the compile: in DSPy the best program until then is returned, and a
log line tells. Where there are no rows for val, nothing is scored and the last program is the result.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.program import Program

from ...evaluate.counts import Calls, Range
from ...evaluate.outcomes import Candidate
from ..base import Context, Facts, Options, Run, StepResult
from ..better_together import scored, stepped, strategy_of
from .faithful import Faithful, best_first


async def run(student: Program, options: Options, context: Context) -> StepResult:
    from ..table import RUNS
    from .table import FAITHFUL  # the table lists this file

    def run_named(name: str) -> Run:
        # Where weights are tuned, there is no schedule but ours.
        return FAITHFUL[name].run if name in FAITHFUL else RUNS[name]

    train, val = context.train, context.val
    if not context.val_given:
        cut = _held_out(len(train), options)
        val, train = train[:cut], train[cut:]
    draws = random.Random(context.seed)  # noqa: S311 - DSPy's generator
    order = list(train)
    candidates: list[Candidate] = []
    try:
        if val:
            candidates.append(await scored("as it came", student, replace(context, val=val)))
        names: tuple[str, ...] = ()
        for name in strategy_of(options):
            names = (*names, name)
            if options.flag("shuffle_trainset_between_steps"):
                draws.shuffle(order)
            # Without rows for val, an optimizer that compares does so on train.
            inner = replace(
                context, train=tuple(order), val=val or tuple(order), val_given=bool(val), nested={}
            )
            result = await stepped(context.nested[name], student, inner, run_named)
            if result.cut is not None:
                raise result.cut
            assert isinstance(result.program, Program)
            student = result.program
            if val:
                candidates.append(await scored(" -> ".join(names), student, inner))
    except (BudgetExceeded, Stopped) as halt:
        if not candidates:
            raise
        return best_first(candidates, cut=halt, scored_on=val)
    return best_first(candidates, scored_on=val) if candidates else StepResult(student)


def _held_out(train: int, options: Options) -> int:
    return int((options.number("valset_ratio") or 0.0) * train)


def _calls(options: Options, facts: Facts) -> Calls:
    from .table import FAITHFUL

    train, val = facts.train, facts.val
    if not facts.val_given:
        val = _held_out(train, options)
        train -= val
    scoring = val * facts.calls_per_run
    total = Calls() if facts.student_scored else Calls(task=Range(scoring, scoring))
    for place, name in enumerate(strategy_of(options)):
        nested = facts.nested.get(name)
        inner = replace(
            facts,
            train=train,
            val=val or train,
            val_given=val > 0,
            student_scored=val > 0 or (facts.student_scored and place == 0),
            student_bare=facts.student_bare and place == 0,
            nested={},
        )
        result = scoring
        if nested is None:
            calls = Calls(teacher=Range(0, train * facts.teacher_calls))
        elif nested.spec.name not in FAITHFUL:
            calls = nested.spec.calls(nested.options, inner)
        else:
            if nested.teacher is not None:
                inner = replace(inner, teacher_calls_per_run=calls_per_run(nested.teacher))
            faithful = FAITHFUL[nested.spec.name]
            calls = faithful.calls(nested.options, inner)
            if nested.spec.candidates and faithful.scores_val:
                # What a search picked is scored already.
                result = 0
        # Steps may ask what an earlier one asked.
        total = Calls(
            total.task + Range(0, calls.task.most + result),
            Range(max(total.teacher.least, calls.teacher.least), total.teacher.most + calls.teacher.most),
            Range(max(total.prompt.least, calls.prompt.least), total.prompt.most + calls.prompt.most),
        )
    return total


FAITHFUL = Faithful(run, _calls, splits=True)
