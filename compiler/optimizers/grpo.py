"""GRPO: the program's own runs, scored by the metric, tell its model which of its answers to give more often.

Algorithm: group relative policy optimization (Shao et al., 2024, arXiv:2402.03300), for programs of several calls as in DSPy's
`GRPO` (Ziems et al., 2025, arXiv:2508.04660). Each step draws rows, runs the program several times on each at a
temperature, and compares the runs of one row with each other: what a run scored more than the mean of its group, in
standard deviations, is the advantage of every call in it. Calls are matched to predictors by address. What is learned from a call
is what was read of its answer, as the model would have to write it; a run that could not be read counts in its
group's mean, and teaches nothing itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.outcomes import Candidate
from ..evaluate.tasks import together
from .base import Context, Facts, OptimizerError, Option, Options, Spec, StepResult, TrainingDone, Trains
from .bootstrap_finetune import EXCLUDE_DEMOS, lessons_of, on_tuned, trainable, without_tunable_demos
from .frozen import tunable
from .ranking import ranked

if TYPE_CHECKING:
    from ..data.rows import Example, Rows
    from ..evaluate.outcomes import Attempt
    from .training.reinforcing import Sample

_EVEN = 1e-6
"""Spread of a group's rewards from which its runs differ."""


def _runs(options: Options) -> int:
    return (
        options.integer("num_train_steps")
        * options.integer("examples_per_step")
        * options.integer("rollouts")
    )


def _looks(options: Options) -> int:
    return math.ceil(options.integer("num_train_steps") / options.integer("steps_for_val"))


def _calls(options: Options, facts: Facts) -> Calls:
    scoring = facts.val * facts.calls_per_run
    start = 0 if facts.student_scored else scoring
    return Calls(
        task=Range(start, start + scoring * _looks(options)),
        teacher=Range(0, _runs(options) * facts.calls_per_run),
    )


def _trains(options: Options, facts: Facts) -> Trains:
    return Trains(_runs(options))


SPEC = Spec(
    name="GRPO",
    doc="Runs the program several times on the same rows, and tunes its model's weights towards the calls of the runs that the "
    "metric scores higher.",
    suits="a local model that is right now and then, and a metric that tells by how much",
    about="Where nobody can show the model what to answer, and the metric can tell better from worse: a step has no labels to "
    "learn from but the scores of its own runs. Begin with `BootstrapFinetune`, since a model that never answers in its "
    "layout, or always scores the same, shows no difference to learn from. Only checkpoints on this machine (`local/…`) can "
    "be tuned so; all predictors have to ask the same one. See [finetuning](finetuning.md).",
    costs="`num_train_steps` times `examples_per_step` times `rollouts` runs, and a scoring on `val` at the start and every "
    "`steps_for_val` steps.",
    source="DSPy, GRPO; arXiv:2402.03300, arXiv:2508.04660",
    options=(
        Option("num_train_steps", "int", 20, "Updates of the weights.", minimum=1),
        Option("examples_per_step", "int", 4, "Rows for each update.", minimum=1, counts="train"),
        Option("rollouts", "int", 8, "Runs for each row, which are compared with each other.", minimum=2),
        Option("temperature", "float", 1.0, "At which they are made.", minimum=0.01, maximum=2.0),
        Option("learning_rate", "float", 1e-5, "Step size.", minimum=0.0, maximum=1.0),
        Option("steps_for_val", "int", 5, "After so many updates the program is scored on val.", minimum=1),
        Option(
            "format_failure_score",
            "float",
            0.0,
            "What a run is worth whose answer could not be read; DSPy's is -1.",
            minimum=-10.0,
            maximum=0.0,
        ),
        EXCLUDE_DEMOS,
    ),
    sets=frozenset({"weights"}),
    calls=_calls,
    trains=_trains,
    trains_here=True,
    candidates=True,
    advised_train=20,
    starts_from=frozenset({"weights"}),
    refused={
        "num_dspy_examples_per_grpo_step": "it is called `examples_per_step`",
        "num_rollouts_per_grpo_step": "it is called `rollouts`",
        "num_steps_for_val": "it is called `steps_for_val`",
        "train_kwargs": "how a model is trained stands in `train { … }` of its lm",
        "failure_score": "a run that the metric scores 0 is worth 0",
    },
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    start = without_tunable_demos(student) if options.flag("exclude_demos") else student
    training = trainable(start, context)
    asked = {predictor.lm for predictor in tunable(start).values()}
    if len(asked) != 1:
        raise OptimizerError(
            f"GRPO tunes one model, and the program's predictors ask {len(asked)}",
            help="freeze those of the others, or take BootstrapFinetune",
        )
    name = next(iter(asked))
    lm = start.lms[name]
    candidates = [await _scored("as it came", start, context)]
    steps, trained = options.integer("num_train_steps"), list[TrainingDone]()
    program, even = start, 0
    order = _Order(context)
    try:
        async with training.reinforced(
            lm,
            seed=context.seed,
            learning_rate=options.number("learning_rate") or 0.0,
            temperature=options.number("temperature") or 1.0,
        ) as policy:
            for number in range(1, steps + 1):
                rows = order.next(options.integer("examples_per_step"))
                samples, mean = await _sampled(program, rows, number, options, context)
                if samples:
                    found = await policy.step(samples)
                    program, key = on_tuned(start, name, None, found)
                    trained = [TrainingDone(key, found.job)]
                else:
                    even += 1
                context.progress(f"update {number} of {steps}: its runs scored {100 * mean:.1f}", None)
                if number % options.integer("steps_for_val") == 0 or number == steps:
                    candidates.append(await _scored(f"after {number} updates", program, context))
    except (BudgetExceeded, Stopped) as halt:
        return _result(candidates, trained, even, cut=halt)
    return _result(candidates, trained, even)


def _result(
    candidates: list[Candidate],
    trained: list[TrainingDone],
    even: int,
    *,
    cut: BudgetExceeded | Stopped | None = None,
) -> StepResult:
    from msgspec.structs import replace

    notes = (
        (f"in {plural(even, 'update')} all runs of a row scored the same, and nothing was learned",)
        if even
        else ()
    )
    result = ranked(candidates, cut=cut, notes=notes, rivals=tuple(one.scores for one in candidates[1:]))
    changed = result.program is not candidates[0].program
    return replace(result, trained=tuple(trained) if changed else ())


async def _scored(label: str, program: Program, context: Context) -> Candidate:
    evaluation = await context.evaluator.evaluate(program, context.val, label=label)
    candidate = Candidate(label, program, evaluation.scores)
    context.progress(label, candidate.score)
    return candidate


class _Order:
    """The rows of train, shuffled anew each time that all had their turn."""

    def __init__(self, context: Context) -> None:
        self._rows = context.train
        self._rng = context.rng("order")
        self._left: list[Example] = []

    def next(self, count: int) -> Rows:
        while len(self._left) < count:
            more = list(self._rows)
            self._rng.shuffle(more)
            self._left += more
        drawn, self._left = self._left[:count], self._left[count:]
        return tuple(drawn)


async def _sampled(
    program: Program, rows: Sequence[Example], number: int, options: Options, context: Context
) -> tuple[list[Sample], float]:
    """What the runs on these rows teach, and what they scored in the mean. Samples are numbered over the whole step, so that no
    two runs of a policy that has not changed share an answer."""
    from .training.reinforcing import Sample  # checks read this file

    rollouts = options.integer("rollouts")
    jobs = [(row, (number - 1) * rollouts + place + 1) for row in rows for place in range(rollouts)]
    found = await together(
        [
            context.evaluator.attempt(
                program, row, sample=sample, temperature=options.number("temperature") or 1.0
            )
            for row, sample in jobs
        ]
    )
    attempts: list[Attempt] = []
    for one in found:
        if isinstance(one, BudgetExceeded | Stopped):
            raise one
        attempts.append(one)
    samples: list[Sample] = []
    scores = [0.0 if one.verdict is None else one.verdict.score for one in attempts]
    for place, row in enumerate(rows):
        group = attempts[place * rollouts : (place + 1) * rollouts]
        rewards = [_reward(one, options) for one in group]
        mean, spread = statistics.fmean(rewards), statistics.pstdev(rewards)
        if spread < _EVEN:
            continue
        for attempt, reward in zip(group, rewards, strict=True):
            if attempt.outputs is None:
                continue
            samples += (
                Sample(lesson.chat, (reward - mean) / spread) for lesson in lessons_of(program, row, attempt)
            )
    return samples, statistics.fmean(scores)


def _reward(attempt: Attempt, options: Options) -> float:
    if attempt.verdict is None:
        return options.number("format_failure_score") or 0.0
    return attempt.verdict.score
