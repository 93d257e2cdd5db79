"""MIPROv2: search instructions and demos together.

Algorithm: `MIPROv2` of DSPy (Opsahl-Ong et al., 2024, arXiv:2406.11695): demo sets are made, instructions
proposed, and combinations tried. What differs: option 0 of every choice is the program as it came; no
combination is tried twice; trials race on the same rows; and between two looks at their scores, further
instructions are proposed in the light of these. `search = "minibatch"` does as the original does: all is proposed
first, every trial sees a minibatch and is picked with TPE, and the best is scored on all of val now and then.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.reselection import luck_of_foreseen
from ..evaluate.shares import shares_of
from ..search import Arm, Bandit, Combinations, Exhaustive, Growing, Racing, TpeSampler
from ..search.board import open_beside
from .advising import MANY, SOME, Idea, Situation
from .base import Context, Option, Options, Spec, StepResult
from .bootstrap_few_shot import DEMO_OPTIONS, demos_shown
from .frozen import tunable
from .mipro_plan import AUTO, CONFLICTS, SEARCHES, calls, compared_on, looks, sizes, strategy, writes
from .mipro_pool import first_pool
from .moving import moved_arms
from .proposing.showing import MAX_ROWS
from .ranking import ranked

_SHARED = {option.name: option for option in DEMO_OPTIONS}


def _advise(s: Situation) -> Iterator[Idea]:
    if s.no_demos:
        bare = {"auto": "light", "max_bootstrapped_demos": 0, "max_labeled_demos": 0}
        why = f"{s.no_demos}: a model writes new instructions in view of the data"
        yield Idea("next", "reword", why, bare)
    elif s.rows >= MANY:
        why = f"{s.rows:,} rows are enough to search instructions and demos together"
        yield Idea("fitting", "joint", why, {"auto": "medium" if s.rows >= 2 * MANY else "light"})
    elif s.rows >= SOME:
        why = f"searches instructions, too; {MANY} rows or more would make its choice surer"
        yield Idea("unsure", "joint", why, {"auto": "light"})


SPEC = Spec(
    name="MIPROv2",
    doc="Bootstraps demo sets, has a model propose instructions grounded in data, program and demos, and "
    "searches for the best combination of both on val. What it starts from competes too.",
    suits="200 rows and more, and money for 40 trials; without demos, prompts that must stay short",
    about="The general choice with 200 rows and more. It bootstraps sets of demos, has `prompt_lm` write "
    "instructions in view of the data, the program and the demos, and searches for the best pair for each "
    "module. A race looks at its scores after every three trials, has two further instructions written for "
    "each module in their light, and tries these next. With both demo limits at 0 it writes instructions "
    "only: three at every look, for up to three times as many trials, on three fifths of the rows. It replaces both.",
    costs="a few to the writing model for each module, at first and at every look, and for a summary of "
    "`train`; a teacher's runs for each demo set; trials on parts of `val` — about `2 · log2(candidates)` for "
    "each thing that can be chosen — and the finalists on all of it.",
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
        _SHARED["max_bootstrapped_demos"],
        structs.replace(_SHARED["max_labeled_demos"], default=4),
        Option(
            "init_temperature",
            "float",
            1.0,
            "Temperature of the model that writes.",
            minimum=0.0,
            maximum=2.0,
            asks_at=True,
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
            counts="val",
        ),
        Option(
            "minibatch_full_eval_steps",
            "int",
            5,
            'With `search = "minibatch"`, the trials after which the best so far is scored on all of val. A race '
            "looks more often.",
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
            counts="train",
        ),
        Option("tip_aware_proposer", "bool", True, "Give every proposal a direction of its own."),
        Option("fewshot_aware_proposer", "bool", True, "Show the proposer demos that a teacher made."),
        _SHARED["max_errors"],
        _SHARED["metric_threshold"],
        Option(
            "search",
            "str",
            "racing",
            'How trials are picked and compared: "racing" with a bandit on growing parts of val, and further '
            'instructions proposed in the light of the scores, or "minibatch" with TPE.',
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions", "demos"}),
    calls=calls,
    shows=demos_shown,
    writes=writes,
    needs_val=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    chooses_lms=True,
    advised_train=200,
    compares_on=lambda options, train, val: compared_on(options),
    conflicts=CONFLICTS,
    prompts=True,
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    predictors, ways = len(tunable(student)), context.models.ways
    chosen = sizes(options, predictors, ways)
    start = Arm("as it came", student)
    making = first_pool(student, chosen, options, context)
    board, pool = await open_beside(context, start, context.rng("order"), making)
    notes: list[str] = []
    if pool is None:
        return ranked(board.candidates(), rivals=board.rivals, ended=True)
    if isinstance(pool, BudgetExceeded | Stopped):
        return ranked(board.candidates(), cut=pool, rivals=board.rivals)
    try:
        space, rng = pool.space, context.rng("search")
        compared, planned = strategy(
            options, predictors, board.rows, context.finalists, context.val_whole, ways
        )
        further = looks(options, predictors, ways, planned)
        tried = planned if further else min(planned, space.combinations - 1)
        if further:
            source = Growing(space, Bandit(space, rng, tried), pool.arm, pool.further(further))
        elif tried == space.combinations - 1:
            notes.append(f"tried all {space.combinations} combinations: no more than there are trials")
            source = Combinations(space, Exhaustive(space), pool.arm)
        elif options.text("search") == "minibatch":
            source = Combinations(space, TpeSampler(space, rng.getrandbits(32)), pool.arm)
        else:
            source = Combinations(space, Bandit(space, rng, tried), pool.arm)
        source.start(board.mean(start), board.rows)
        if isinstance(compared, Racing):
            compared = compared.fewer(planned, tried, board.rows)
        halt = await compared.run(board, source, tried)
        if halt is None:
            halt = await board.extend(moved_arms(board, context), board.rows)
    except (BudgetExceeded, Stopped) as raised:
        return ranked(board.candidates(), cut=raised, rivals=board.rivals)
    if pool.lost:
        notes.append(f"{plural(pool.lost, 'proposal')} could not be used or said what another said")
    scored = board.candidates()
    result = ranked(scored, cut=halt, notes=tuple(notes), rivals=board.rivals, ended=board.settled)
    before, after = scored[0].scores, result.candidates[0].scores
    if len(result.rivals) < 2 or shares_of(before):
        return result
    return structs.replace(result, luck=luck_of_foreseen(before, after, result.rivals))
