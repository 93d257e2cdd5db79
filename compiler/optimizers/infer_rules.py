"""InferRules: demos, and rules that a model writes down from labelled rows.

Algorithm: DSPy's `InferRules`. The program is bootstrapped as by `BootstrapFewShot`; then a model is asked
several times for the rules behind the training rows, each time in view of other rows, and each answer, added
to the instructions, is a candidate. What differs: the program as it came and its demos without any rules
compete too; candidates race instead of being scored on every row (`search = "full"` does that); and each keeps its own
rules, which in DSPy 3.4.1 end up in all of them and in the caller's program.

Without val, demos and rules come from the first half of train and are scored on the other half.
"""

from __future__ import annotations

from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.tasks import Halt, together
from ..search import Arm, Full, Listed, Racing, Strategy
from ..search.board import open_beside
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult, Writes
from .bootstrap_few_shot import DEMO_OPTIONS, assemble, bootstrap, demos_shown, prepare_teacher, teacher_calls
from .frozen import tunable
from .proposing import Proposer
from .proposing.answers import extended
from .proposing.rules import infer_rules
from .ranking import ranked

SEARCHES = ("racing", "full")
DEMOS = ("bootstrapped", "kept")
SHARE = 0.42
"""What a race may cost, as a share of scoring every candidate on every row."""
BEHIND = 1.5
"""Standard errors by which a set of rules may be behind the best one and race on."""
COMPARED_ON, MOST_COMPARED_ON = 150, 300
"""Rows of val on which candidates are compared, where it has more: half of it, but no fewer than the first and no more than
the second."""
TEMPERATURE = 1.0
"""Temperature of the model that writes rules: its answers are to differ."""


def keeps_demos(options: Options) -> bool:
    return options.text("demos") == "kept"


def compared(options: Options) -> int:
    """How many programs are compared with the start."""
    return options.integer("num_candidates") + (0 if keeps_demos(options) else 1)


def halves(train: int) -> tuple[int, int]:
    """Rows to learn from and rows to score on where there is no val; a single row is both."""
    return (train // 2, train - train // 2) if train > 1 else (train, train)


def strategy(options: Options, rows: int, finalists: int = 1) -> Strategy:
    """How the demos alone, where they are new, and each set of rules are compared."""
    if options.text("search") == "full":
        return Full()
    arms = compared(options)
    return replace(Racing.within(SHARE * arms * rows, arms, rows, finalists=finalists), behind=BEHIND)


def _calls(options: Options, facts: Facts) -> Calls:
    train, val = (facts.train, facts.val) if facts.val_given else halves(facts.train)
    start = 0 if facts.student_scored else val * facts.calls_per_run
    candidates = options.integer("num_candidates")
    raced = strategy(options, val, facts.finalists).most(compared(options), val)
    prompt = candidates * facts.predictors
    return Calls(
        task=Range(start, start + raced * facts.calls_per_run),
        teacher=Range()
        if keeps_demos(options)
        else teacher_calls(options.integer("max_bootstrapped_demos"), options, replace(facts, train=train)),
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
    "rules; one run for every row of `val` and set at most, less when racing. Without `val` half of `train` takes its place.",
    source="DSPy, InferRules",
    options=(
        Option("num_candidates", "int", 10, "Sets of rules to try.", minimum=1),
        Option("num_rules", "int", 10, "Rules in a set, for each predictor.", minimum=1),
        Option(
            "demos",
            "str",
            "bootstrapped",
            'Whose demos the prompts show besides the rules: "bootstrapped" anew, or "kept" as the step is given them, those '
            "that are chosen per input among them.",
            choices=DEMOS,
        ),
        *DEMO_OPTIONS,
        Option(
            "search",
            "str",
            "racing",
            'How the sets are compared: "racing" on growing parts of val, the best on all of it; "full" scores each on all '
            "of val.",
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions"}),
    calls=_calls,
    shows=lambda options, facts: Shows() if keeps_demos(options) else demos_shown(options, facts),
    writes=lambda options, facts: Writes(shown=0),
    needs_val=True,
    holds_out=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    advised_train=20,
    compares_on=lambda options, train, val: min(MOST_COMPARED_ON, max(COMPARED_ON, val // 2)),
    prompts=True,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    if not context.val_given:
        learned, _ = halves(len(context.train))
        rest = context.train[learned:] or context.train
        context = replace(context, train=context.train[:learned], val=rest)
    start = Arm("as it came", student)
    making = _taught(student, options, context)
    board, taught = await open_beside(context, start, context.rng("order"), making)
    if taught is None or isinstance(taught, BudgetExceeded | Stopped):
        found = ranked(board.candidates(), cut=taught, rivals=board.rivals, ended=taught is None)
        return replace(found, scored_on=context.val)
    numbers = range(1, options.integer("num_candidates") + 1)
    arms = [] if taught is student else [Arm("demos alone", taught)]
    planned, race = compared(options), strategy(options, board.rows, context.finalists)
    sure = race.rounds(planned, board.rows)[0].rows if isinstance(race, Racing) else board.rows
    for arm in arms:
        board.begin(arm, sure)
    proposer = Proposer(context, student)

    async def made(number: int) -> tuple[Program, int]:
        program, lost = await _with_rules(number, taught, proposer, options, context)
        if program is not taught:
            board.begin(Arm(f"rules {number}", program), sure)
        return program, lost

    try:
        found = await together([made(number) for number in numbers])
        halt = next((one for one in found if not isinstance(one, tuple)), None)
        lost = sum(one[1] for one in found if isinstance(one, tuple))
        for number, one in zip(numbers, found, strict=True):
            if isinstance(one, tuple):
                arms.append(Arm(f"rules {number}", one[0]))
        if halt is None:
            if isinstance(race, Racing):
                race = race.fewer(planned, len(arms), board.rows)
            halt = await race.run(board, Listed(arms), len(arms))
    finally:
        await board.drop()
    notes = (f"{plural(lost, 'answer')} with rules could not be used",) if lost else ()
    ranking = ranked(board.candidates(), cut=halt, notes=notes, rivals=board.rivals, ended=board.settled)
    return replace(ranking, scored_on=context.val)


async def _taught(student: Program, options: Options, context: Context) -> Program:
    """The student with demos, as `BootstrapFewShot` gives them, or as it came. Raises halts."""
    if keeps_demos(options):
        return student
    demos = options.integer("max_bootstrapped_demos")
    teacher = prepare_teacher(student, options, context)
    accepted, halt = await bootstrap(student, teacher, context.train, demos, options, context)
    if halt is not None:
        raise halt
    return assemble(student, accepted, context.train, demos, options, context.rng, context.room)


async def _with_rules(
    number: int, taught: Program, proposer: Proposer, options: Options, context: Context
) -> tuple[Program, int]:
    """The program with one set of rules for each predictor, and how many answers were lost. Raises halts."""
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
    return program, lost
