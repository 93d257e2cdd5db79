"""BootstrapFinetune: run teachers on training rows, and train the program's models on the traces that the metric accepts.

Algorithm: `BootstrapFinetune` of DSPy (Khattab et al., 2023, arXiv:2310.03714; Soylu et al., 2024, arXiv:2407.10930). Each call
of a predictor in an accepted run becomes a chat: the prompt that the student would send for these inputs, to the byte,
and the teacher's outputs as the student would have to answer them. Predictors are matched by address, not by their place
in the trace, so that loops and branches teach what they should. The chats are the same at any parallelism.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from .advising import MANY, Idea, Situation
from .base import Context, Facts, OptimizerError, Option, Options, Spec, StepResult, TrainingDone, Trains
from .bootstrap_few_shot import DEMO_OPTIONS, Attempts, in_order
from .demos import hide, showable
from .frozen import tunable
from .teachers import matched

if TYPE_CHECKING:
    from dspec.runtime.models.protocol import Message

    from ..data.rows import Example
    from ..evaluate.outcomes import Attempt
    from .training.base import Trained
    from .training.service import Training, TrainingPurse

ADVISED_TRAIN = 50


class TracedLesson(Struct, frozen=True):
    """One call of a predictor, as its model is to answer it."""

    address: str
    lm: str
    chat: tuple[Message, ...]


def _calls(options: Options, facts: Facts) -> Calls:
    runs = facts.train * facts.teacher_calls
    return Calls(teacher=Range(runs, runs * options.integer("max_rounds")))


def _trains(options: Options, facts: Facts) -> Trains:
    teachers = max(1, facts.teachers)
    return Trains(facts.train * teachers)


def _advise(s: Situation) -> Iterator[Idea]:
    if s.tunable and s.rows >= MANY and s.accepts:
        yield Idea(
            "special", "tuned", "the model's weights can be tuned, and there are rows enough to learn from"
        )


EXCLUDE_DEMOS = Option(
    "exclude_demos",
    "bool",
    False,
    "Leave the demos that prompts show now out of what is trained on, and out of the result.",
)

SPEC = Spec(
    name="BootstrapFinetune",
    doc="Runs teachers on all rows of train, and tunes the weights of the program's models on the runs that the metric accepts.",
    suits="rows in the hundreds, and a model whose weights can be tuned",
    about="Where a small model is to do what a large one does with a long prompt. The teacher is the program itself, or "
    "any program with the same predictors: one on a larger model, one with demos, an ensemble, or several in a list. "
    "Nothing is shown in prompts for it: what runs showed is learned instead. See [finetuning](finetuning.md) for which "
    "models can be tuned, what it costs and where the weights are.",
    costs="one run of each teacher for every row of `train`, and the training: rows, times their tokens, times epochs.",
    source="DSPy, BootstrapFinetune; arXiv:2310.03714, arXiv:2407.10930",
    options=(
        Option(
            "multitask",
            "bool",
            True,
            "One training for all predictors that ask the same model; false trains one for each predictor.",
        ),
        EXCLUDE_DEMOS,
        *(one for one in DEMO_OPTIONS if one.name in ("max_rounds", "max_errors", "metric_threshold")),
    ),
    sets=frozenset({"weights"}),
    calls=_calls,
    trains=_trains,
    takes_teacher=True,
    takes_teachers=True,
    bootstraps=True,
    advised_train=ADVISED_TRAIN,
    enough_from=ADVISED_TRAIN,
    advise=_advise,
    starts_from=frozenset({"weights"}),
    refused={
        "train_kwargs": "how a model is trained stands in `train { … }` of its lm",
        "adapter": "rows are laid out as the model's prompts are: by the `adapter` of its lm",
    },
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    start = without_tunable_demos(student) if options.flag("exclude_demos") else student
    training = trainable(start, context)
    lessons, passed, tried = await _lessons(start, options, context)
    if not lessons:
        return StepResult(
            student,
            notes=(f"no run of {tried} passed the metric with something to learn: nothing was trained",),
        )
    context.rng("order").shuffle(lessons)
    separately = not options.flag("multitask")
    groups: dict[tuple[str, str | None], list[TracedLesson]] = {}
    for one in lessons:
        groups.setdefault((one.lm, one.address if separately else None), []).append(one)
    program, done = start, list[TrainingDone]()
    for (name, address), rows in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        found = await training.train(
            start.lms[name],
            [one.chat for one in rows],
            seed=context.seed,
            purse=purse(context),
            tell=lambda text: context.progress(text, None),
        )
        program, key = on_tuned(program, name, address, found)
        context.evaluator.trained(found.job.usd)
        done.append(TrainingDone(key, found.job))
    note = f"{passed} of {plural(tried, 'run')} passed, {plural(len(lessons), 'call')} to learn from"
    return StepResult(program, notes=(note,), trained=tuple(done))


def trainable(student: Program, context: Context) -> Training:
    """What trains the student's models. Raises OptimizerError where the student's prompts cannot be learned,
    ConfigurationError where one of its models cannot be trained: before any teacher is asked."""
    if context.training is None:
        raise OptimizerError("nothing here can train a model's weights", help="`dspc compile` can")
    if student.neighbours is not None:
        raise OptimizerError(
            "the program's demos are chosen for each input, so there is no one prompt to learn",
            help="leave them out with `exclude_demos = true`",
        )
    for name in {predictor.lm for predictor in tunable(student).values()}:
        context.training.ready(student.lms[name])
    return context.training


def without_tunable_demos(program: Program) -> Program:
    """The program without the demos of the predictors that may be changed."""
    for address in tunable(program):
        program = program.with_predictor(address, demos=())
    return program


async def _lessons(
    student: Program, options: Options, context: Context
) -> tuple[list[TracedLesson], int, int]:
    """What the accepted runs teach, in the order of teachers and rows; how many were accepted, and made.

    Raises the halt where the budget's wall, or a stop, came before all rows were tried: what is learned must not depend on
    where that was.
    """
    teachers: list[Runnable] = [student]
    if context.teacher is not None:
        teachers = [matched(student, one) for one in (context.teacher, *context.teachers)]
    found: list[TracedLesson] = []
    passed = 0
    for teacher in teachers:
        attempts = Attempts(teacher, options, context)

        async def row(example: Example, attempts: Attempts = attempts) -> list[TracedLesson] | None:
            return await attempts.row(example, lambda attempt: lessons_of(student, example, attempt) or None)

        accepted, halt = await in_order(context.train, len(context.train), row, tried=attempts.tried)
        if halt is not None:
            raise halt
        passed += len(accepted)
        found += (one for lessons in accepted for one in lessons)
    return found, passed, len(teachers) * len(context.train)


def lessons_of(student: Program, example: Example, attempt: Attempt) -> list[TracedLesson]:
    """The calls of an accepted run, agents' and their tools' steps included, as the student's models are to answer them.

    Raises OptimizerError for prompts with media, which no trainer here takes.
    """
    from dspec.runtime.running.asking import exchange  # checks read this file, and no prompts

    shown = hide(student, example)
    may_change = tunable(student)
    found: list[TracedLesson] = []
    for step in showable(student, attempt.trace):
        if step.predictor not in may_change or step.hint:
            continue
        chat = exchange(shown, step.predictor, step.inputs, step.outputs)
        if any(message.attached for message in chat):
            raise OptimizerError(
                f"`{step.predictor}` shows its model an image, audio or a file, and weights are tuned on text alone here"
            )
        found.append(TracedLesson(step.predictor, student.predictors[step.predictor].lm, chat))
    return found


def on_tuned(program: Program, name: str, address: str | None, found: Trained) -> tuple[Program, str]:
    """The program with predictors that asked a model asking the tuned one, and what it calls that: all of them, or one."""
    from .training.results import tuned_lm, tuned_name  # checks read this file

    key = tuned_name(name, address)
    tuned = tuned_lm(program.lms[name], key, found, in_text=bool(program.modules))
    asked = {
        place: key
        for place, predictor in tunable(program).items()
        if predictor.lm == name and (address is None or place == address)
    }
    return program.asking(asked, {**program.lms, key: tuned}), key


def purse(context: Context) -> TrainingPurse:
    """The budget, as it pays for trainings."""
    from .training.service import FREE, TrainingPurse  # checks read this file

    wall = context.evaluator.wall
    return FREE if wall is None else TrainingPurse(wall.take, wall.give_back)
