"""DSPy's BootstrapFewShotWithOptuna: bootstrap once, then trials that show each predictor one of its demos.

DSPy's sampler has no seed; here it has the block's. Where a predictor has no demos to choose from, which ends
DSPy's search with an error, it shows none.
"""

from __future__ import annotations

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ...evaluate.counts import Calls, Range
from ...evaluate.outcomes import Candidate
from ..base import Context, Facts, Options, StepResult
from ..bootstrap_few_shot import teacher_calls
from ..bootstrap_optuna import pool_size
from ..demos import without_demos
from ..frozen import tunable
from .faithful import Faithful, best_first, percent
from .few_shot import bootstrapped


async def run(student: Program, options: Options, context: Context) -> StepResult:
    # Optuna takes a second to import: only a compile that searches pays for it.
    import optuna

    bare = without_demos(student)
    pool, halt = await bootstrapped(
        bare,
        context.train,
        options,
        context,
        demos=pool_size(options),
        labels=options.integer("max_labeled_demos"),
    )
    if halt is not None:
        raise halt
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=context.seed))
    scored: list[Candidate] = []
    for number in range(options.integer("num_candidate_programs")):
        trial = study.ask()
        program, chosen = bare, list[str]()
        for address, predictor in tunable(pool).items():
            if predictor.demos:
                place = trial.suggest_int(f"demo_index_for_{address}", 0, len(predictor.demos) - 1)
                program = program.with_predictor(address, demos=(predictor.demos[place],))
                chosen.append(str(place))
        label = f"trial {number}: demos {' '.join(chosen)}"
        try:
            evaluation = await context.evaluator.evaluate(program, context.val, label=label)
        except (BudgetExceeded, Stopped) as stop:
            if not scored:
                raise
            return best_first(scored, cut=stop)
        study.tell(trial, percent(evaluation.scores))
        scored.append(Candidate(label, program, evaluation.scores))
        context.progress(label, scored[-1].score)
    return best_first(scored)


def _calls(options: Options, facts: Facts) -> Calls:
    scoring = facts.val * facts.calls_per_run
    # Trials may choose what an earlier one chose, which costs nothing again.
    return Calls(
        Range(scoring, scoring * options.integer("num_candidate_programs")),
        teacher_calls(pool_size(options), options, facts),
    )


FAITHFUL = Faithful(run, _calls)
