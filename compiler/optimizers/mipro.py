"""MIPROv2: search instructions and demos together.

Algorithm: `MIPROv2` of DSPy (Opsahl-Ong et al., 2024, arXiv:2406.11695): demo sets are made, instructions
proposed, and combinations tried. What differs: option 0 of every choice is the program as it came; no
combination is tried twice, and where there are no more than trials, all of them are; and trials race on the
same rows (`search = "minibatch"` gives every trial a minibatch, picks them with TPE, and scores the
best on all of val now and then, as the original does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.program import Demo, Program

from ..proposing import Grounding, propose_grounded, summary_for
from ..proposing.showing import MAX_ROWS
from ..search import Arm, Bandit, Choice, Combinations, Exhaustive, Racing, Sampler, Space, TpeSampler
from ..search.board import open_board
from ..tasks import both
from .base import Context, Option, Options, Spec, StepResult
from .bootstrap_few_shot import DEMO_OPTIONS, assemble, bootstrap, prepare_teacher
from .demo_sets import bootstrap_options, demo_sets
from .frozen import tunable
from .mipro_plan import (
    AUTO,
    CONFLICTS,
    PROPOSER_DEMOS,
    SEARCHES,
    Sizes,
    calls,
    contradiction,
    sizes,
    strategy,
    trials,
    zero_shot,
)
from .ranking import ranked

if TYPE_CHECKING:
    import random

_SHARED = {option.name: option for option in DEMO_OPTIONS}

SPEC = Spec(
    name="MIPROv2",
    doc="Bootstraps demo sets, has a model propose instructions grounded in data, program and demos, and "
    "searches for the best combination of both on val. What it starts from competes too.",
    source="DSPy, MIPROv2; arXiv:2406.11695",
    options=(
        Option(
            "auto",
            "str",
            "light",
            "How much to search; sets num_candidates and num_trials. With `none`, both are to be set.",
            optional=True,
            choices=tuple(AUTO),
        ),
        Option(
            "num_candidates",
            "int",
            None,
            "Instructions, and demo sets, per predictor.",
            minimum=1,
            optional=True,
        ),
        Option("num_trials", "int", None, "Combinations to try.", minimum=1, optional=True),
        Option("max_bootstrapped_demos", "int", 4, _SHARED["max_bootstrapped_demos"].doc, minimum=0),
        Option("max_labeled_demos", "int", 4, _SHARED["max_labeled_demos"].doc, minimum=0),
        Option(
            "init_temperature",
            "float",
            1.0,
            "Temperature of the model that writes.",
            minimum=0.0,
            maximum=2.0,
        ),
        Option(
            "minibatch",
            "bool",
            True,
            "Compare trials on some rows of val first; `false` scores every trial on all of it.",
        ),
        Option(
            "minibatch_size",
            "int",
            35,
            "Rows of a minibatch. A race takes half the calls that minibatches of this size would.",
            minimum=1,
        ),
        Option(
            "minibatch_full_eval_steps",
            "int",
            5,
            "Trials between two looks at the results: the next ones are chosen in their light, and with "
            '`search = "minibatch"` the best so far is scored on all of val.',
            minimum=1,
        ),
        Option("program_aware_proposer", "bool", True, "Tell the proposer of the program's steps."),
        Option(
            "data_aware_proposer",
            "bool",
            True,
            "Show the proposer rows of train and a summary of them.",
        ),
        Option(
            "view_data_batch_size",
            "int",
            10,
            "Rows per call while the data are summarized.",
            minimum=1,
            maximum=MAX_ROWS,
        ),
        Option("tip_aware_proposer", "bool", True, "Give every proposal a direction of its own."),
        Option("fewshot_aware_proposer", "bool", True, "Show the proposer demos that a teacher made."),
        _SHARED["max_errors"],
        _SHARED["metric_threshold"],
        Option(
            "search",
            "str",
            "racing",
            'How trials are picked and compared: "racing" with a bandit on growing parts of val, or '
            '"minibatch" with TPE.',
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions", "demos"}),
    calls=calls,
    needs_val=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    advised_train=200,
    contradiction=contradiction,
    conflicts=CONFLICTS,
    prompts=True,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    chosen = sizes(options, len(tunable(student)))
    start = Arm("as it came", student)
    board = await open_board(context, start, context.rng("order"))
    try:
        pool = await _pool(student, chosen, options, context)
        tried = min(chosen.trials, pool.space.combinations - 1)
        sampler = _sampler(pool.space, tried, options, context.rng("search"))
        source = Combinations(pool.space, sampler, lambda choice: pool.arm(student, choice))
        source.start(board.mean(start), board.rows)
        compared = strategy(options, len(tunable(student)), board.rows, context.finalists)
        if isinstance(compared, Racing):
            compared = compared.fewer(trials(options, len(tunable(student))), tried, board.rows)
        halt = await compared.run(board, source, tried)
    except (BudgetExceeded, Stopped) as raised:
        return ranked(board.candidates(), cut=raised, compared=board.compared)
    return ranked(board.candidates(), cut=halt, notes=pool.notes(tried), compared=board.compared)


@dataclass(frozen=True, slots=True)
class Pool:
    """What there is to choose from, by predictor; option 0 is the student's own."""

    addresses: tuple[str, ...]
    instructions: tuple[tuple[str, ...], ...]
    demos: tuple[tuple[tuple[Demo, ...], ...], ...]
    lost: int

    @property
    def space(self) -> Space:
        """Two dimensions a predictor: its instruction, then its demos."""
        pairs = zip(self.instructions, self.demos, strict=True)
        return Space(tuple(len(options) for pair in pairs for options in pair))

    def arm(self, student: Program, choice: Choice) -> Arm:
        names: list[str] = []
        for place, address in enumerate(self.addresses):
            instruction, demos = choice[2 * place : 2 * place + 2]
            student = student.with_predictor(
                address,
                instruction=self.instructions[place][instruction],
                # The first set is the student's own, which may be chosen per input: that is left alone.
                demos=self.demos[place][demos] if demos else None,
            )
            name = f"{address}: " if len(self.addresses) > 1 else ""
            names.append(f"{name}instruction {instruction}, demos {demos}")
        return Arm("; ".join(names), student)

    def notes(self, trials: int) -> tuple[str, ...]:
        notes: list[str] = []
        if trials == self.space.combinations - 1:
            notes.append(f"tried all {self.space.combinations} combinations: no more than there are trials")
        if self.lost:
            notes.append(f"{self.lost} proposals could not be used or said what another said")
        return tuple(notes)


async def _pool(student: Program, chosen: Sizes, options: Options, context: Context) -> Pool:
    """Stages 1 and 2: demo sets, then instructions that know them. Raises halts."""
    grounding = Grounding(
        data=options.flag("data_aware_proposer"),
        program=options.flag("program_aware_proposer"),
        demos=options.flag("fewshot_aware_proposer"),
        tips=options.flag("tip_aware_proposer"),
        batch=options.integer("view_data_batch_size"),
        temperature=options.number("init_temperature") or 0.0,
    )
    wanted = chosen.instructions
    made, summary = await both(
        _sets(student, chosen, options, context, shown=grounding.demos and wanted > 1),
        summary_for(student, context, wanted, grounding),
    )
    instructions, lost = await propose_grounded(student, context, wanted, grounding, made, summary)
    sets = [student] if zero_shot(options) else made
    return Pool(
        tuple(tunable(student)),
        tuple(instructions.values()),
        tuple(_distinct([one.predictors[address].demos for one in sets]) for address in tunable(student)),
        lost,
    )


async def _sets(
    student: Program, chosen: Sizes, options: Options, context: Context, *, shown: bool
) -> list[Program]:
    """The student with each demo set; where it gets none, with a few demos if proposals are `shown` any."""
    if zero_shot(options):
        return await _for_proposer(student, options, context) if shown else []
    settings = bootstrap_options(
        options,
        bootstrapped=options.integer("max_bootstrapped_demos"),
        labeled=options.integer("max_labeled_demos"),
    )
    return [one.program for one in await demo_sets(student, chosen.demo_sets, settings, context)]


async def _for_proposer(student: Program, options: Options, context: Context) -> list[Program]:
    """The student with a few demos that only the proposer sees."""
    settings = bootstrap_options(options, bootstrapped=PROPOSER_DEMOS, labeled=0)
    teacher = prepare_teacher(student, settings, context)
    accepted, halt = await bootstrap(teacher, context.train, PROPOSER_DEMOS, settings, context)
    if halt is not None:
        raise halt
    return [assemble(student, accepted, context.train, PROPOSER_DEMOS, settings, context.rng)]


def _distinct(demos: list[tuple[Demo, ...]]) -> tuple[tuple[Demo, ...], ...]:
    found: list[tuple[Demo, ...]] = []
    for one in demos:
        if one not in found:
            found.append(one)
    return tuple(found)


def _sampler(space: Space, trials: int, options: Options, rng: random.Random) -> Sampler:
    if space.combinations - 1 <= trials:
        return Exhaustive(space)
    if options.text("search") == "minibatch":
        return TpeSampler(space, rng.getrandbits(32))
    return Bandit(space, rng, trials)
