"""InferRules: demos, and rules that a model writes down from labelled rows.

Algorithm: DSPy's `InferRules`. The program is bootstrapped as by `BootstrapFewShot`; then a model is asked
several times for the rules behind the training rows, each time in view of other rows, and each answer, added
to the instructions, is a candidate. What differs: the program as it came and its demos without any rules
compete too; and each candidate keeps its own rules, which in DSPy 3.4.1 end up in all of them and in the
caller's program.

Without val, demos and rules come from the first half of train and are scored on the other half.
"""

from __future__ import annotations

from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls, Range
from ..evaluate.outcomes import Candidate
from ..evaluate.tasks import Halt, together
from .base import Context, Facts, Option, Options, Spec, StepResult, Writes
from .bootstrap_few_shot import DEMO_OPTIONS, assemble, bootstrap, demos_shown, prepare_teacher, teacher_calls
from .frozen import tunable
from .proposing import Proposer
from .proposing.answers import extended
from .proposing.rules import infer_rules
from .ranking import ranked, settled

TEMPERATURE = 1.0
"""Temperature of the model that writes rules: its answers are to differ."""


def halves(train: int) -> tuple[int, int]:
    """Rows to learn from and rows to score on where there is no val; a single row is both."""
    return (train // 2, train - train // 2) if train > 1 else (train, train)


def _calls(options: Options, facts: Facts) -> Calls:
    train, val = (facts.train, facts.val) if facts.val_given else halves(facts.train)
    scoring = val * facts.calls_per_run
    start = 0 if facts.student_scored else scoring
    candidates = options.integer("num_candidates")
    prompt = candidates * facts.predictors
    return Calls(
        task=Range(start, start + (candidates + 1) * scoring),
        teacher=teacher_calls(
            options.integer("max_bootstrapped_demos"), options, replace(facts, train=train)
        ),
        prompt=Range(prompt, prompt),
    )


SPEC = Spec(
    name="InferRules",
    doc="Bootstraps demos, has a model write down the rules behind the training rows several times, adds "
    "them to the instructions, and keeps what scores best on val. What it starts from competes too.",
    suits="labels that follow a policy",
    about="When the labels follow a policy that can be written down. It bootstraps demos, and a model writes "
    "the rules behind the rows; rules are added to the instruction.",
    costs="the teacher's runs of `BootstrapFewShot`; one to the writing model for each module and set of "
    "rules; one run for every row of `val` and set. Without `val` half of `train` takes its place.",
    source="DSPy, InferRules",
    options=(
        Option("num_candidates", "int", 10, "Sets of rules to try.", minimum=1),
        Option("num_rules", "int", 10, "Rules in a set, for each predictor.", minimum=1),
        *DEMO_OPTIONS,
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions"}),
    calls=_calls,
    shows=demos_shown,
    writes=lambda options, facts: Writes(shown=0),
    needs_val=True,
    holds_out=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    advised_train=20,
    prompts=True,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    if not context.val_given:
        learned, _ = halves(len(context.train))
        rest = context.train[learned:] or context.train
        context = replace(context, train=context.train[:learned], val=rest)

    def tell(candidate: Candidate) -> None:
        context.progress(candidate.label, candidate.score)

    scored = [await _score("as it came", student, context)]
    tell(scored[-1])
    if settled(scored, context):
        return replace(ranked(scored, ended=True), scored_on=context.val)
    try:
        taught = await _taught(student, options, context)
        scored.append(await _score("demos alone", taught, context))
        tell(scored[-1])
    except (BudgetExceeded, Stopped) as halt:
        return replace(ranked(scored, cut=halt), scored_on=context.val)
    if settled(scored, context):
        return replace(ranked(scored, ended=True), scored_on=context.val)
    proposer = Proposer(context, student)
    numbers = range(1, options.integer("num_candidates") + 1)
    found: list[tuple[Candidate, int] | Halt] = await together(
        [_candidate(number, taught, proposer, options, context) for number in numbers],
        lambda made: tell(made[0]),
    )
    lost, halts = 0, list[Halt]()
    for one in found:
        if isinstance(one, tuple):
            scored.append(one[0])
            lost += one[1]
        else:
            halts.append(one)
    notes = (f"{lost} answers with rules could not be used",) if lost else ()
    return replace(ranked(scored, cut=halts[0] if halts else None, notes=notes), scored_on=context.val)


async def _taught(student: Program, options: Options, context: Context) -> Program:
    """The student with demos, as `BootstrapFewShot` gives them. Raises halts."""
    demos = options.integer("max_bootstrapped_demos")
    teacher = prepare_teacher(student, options, context)
    accepted, halt = await bootstrap(student, teacher, context.train, demos, options, context)
    if halt is not None:
        raise halt
    return assemble(student, accepted, context.train, demos, options, context.rng, context.room)


async def _candidate(
    number: int, taught: Program, proposer: Proposer, options: Options, context: Context
) -> tuple[Candidate, int]:
    """The program with one set of rules for each predictor, scored; and how many answers were lost."""
    wanted = options.integer("num_rules")
    found: list[str | Halt] = await together(
        [
            infer_rules(
                proposer,
                taught,
                address,
                context.train,
                context.rng(f"rules {number}/{address}"),
                number=wanted,
                sample=number,
                temperature=TEMPERATURE,
            )
            for address in tunable(taught)
        ]
    )
    program, lost = taught, 0
    for (address, predictor), rules in zip(tunable(taught).items(), found, strict=True):
        if not isinstance(rules, str):
            raise rules
        longer = extended(predictor.signature.instruction, rules) if rules else None
        if longer is None:
            lost += 1
        else:
            program = program.with_predictor(address, instruction=longer)
    return await _score(f"rules {number}", program, context), lost


async def _score(label: str, program: Program, context: Context) -> Candidate:
    evaluation = await context.evaluator.evaluate(program, context.val, label=label)
    return Candidate(label, program, evaluation.scores)
