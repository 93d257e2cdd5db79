"""MIPROv2's sizes and cost: how many candidates and trials `auto` means, and what they take at most.

The sizes are those of DSPy 3.4.1. Everything here is arithmetic; nothing asks a model.
"""

from __future__ import annotations

from math import log2
from statistics import fmean

from msgspec import Struct

from ..evaluate.counts import Calls, Range
from ..search import Full, Minibatch, Racing, Strategy
from .base import Conflict, Facts, Options, Writes
from .bootstrap_few_shot import teacher_calls
from .demo_sets import bootstrap_options
from .proposing import summary_calls
from .proposing.summary import MAX_BATCHES

SEARCHES = ("racing", "minibatch")
AUTO = {"light": (6, 100, 50), "medium": (12, 300, 100), "heavy": (18, 1000, 200)}
"""By `auto`: candidates, the rows of val on which the original compares them, and those on which they race."""
COMPARED_ON = 100
"""Rows on which they race where `auto` is `none`."""
PROPOSER_DEMOS = 3
"""Demos that are bootstrapped for the proposer alone where the program gets none."""
KEEPS = (0.25,)
"""Share of the trials that a round keeps: what an arm shows tells of all that share an option with it, so that most rows are
spent on the first round, where all of them are seen."""
SHARE = 0.455
"""What a race may cost, with the instructions that are proposed on the way, as a share of what the original's
minibatches and full evaluations cost for as many trials. The original asks nothing twice."""
APART = 1 / 3
"""How often predictors are taken to be asked something else because those before them have other options."""
TELLING, FEWEST = 8, 4
"""Rows that a race's first round should have, for which there are fewer trials, and how many there are at least."""
LOOK, PROPOSED = 3, 2
"""Trials between two looks at a race, and instructions that are then proposed for every predictor: two of the next
trials try them, and the others what looks best so far."""
BARE_TELLING, BARE_PROPOSED, BARE_TRIALS, BARE_ROWS = 4, 3, 3, 0.6
"""Of a race without demos that `auto` sizes: rows that its first round should have, instructions that are proposed at every
look, so that each trial after it tries a new one, how many times the original's trials it may make, and the share of the rows
on which others race. More is gained by writing more instructions in view of scores than by looking more closely at a few; and
of the little that the original takes, scoring start and winner on many rows would leave too few calls for that."""


class Sizes(Struct, frozen=True):
    """`limit` bounds the rows on which trials are compared; the winner is scored on all of val."""

    instructions: int
    demo_sets: int
    trials: int
    limit: int | None


def zero_shot(options: Options) -> bool:
    return options.integer("max_bootstrapped_demos") == 0 and options.integer("max_labeled_demos") == 0


def sizes(options: Options, predictors: int, ways: int = 1) -> Sizes:
    """What the options ask for, where there are so many ways to give models to predictors. Without `auto`, both numbers are set,
    as `CONFLICTS` sees to."""
    bare = zero_shot(options)
    auto = options.text("auto")
    if auto is None:
        candidates = options.integer("num_candidates")
        return Sizes(candidates, 1 if bare else candidates, options.integer("num_trials"), None)
    candidates, limit, _ = AUTO[auto]
    dimensions = predictors if bare else 2 * predictors
    trials = int(max(2 * dimensions * log2(candidates), 1.5 * candidates) + 2 * log2(ways))
    if bare:
        return Sizes(candidates, 1, trials, limit)
    return Sizes(candidates // 2, candidates, trials, limit)


def compared_on(options: Options) -> int:
    """Rows of val on which trials are compared, where it has more."""
    auto = options.text("auto")
    rows = COMPARED_ON if auto is None else AUTO[auto][2]
    return round(BARE_ROWS * rows) if rewrites(options) else rows


def trials(options: Options, predictors: int, ways: int = 1) -> int:
    """Combinations that are tried at most: no more than there are, the start not among them."""
    chosen = sizes(options, predictors, ways)
    if looks(options, predictors, ways):
        return most_trials(options, predictors, ways)
    return min(chosen.trials, _combinations(chosen, predictors, ways) - 1)


def _combinations(chosen: Sizes, predictors: int, ways: int) -> int:
    return ways * (chosen.instructions * chosen.demo_sets) ** predictors


def rewrites(options: Options) -> bool:
    """Whether the search is a race of instructions alone, as long as it may cost and no longer than `auto` says."""
    racing = options.text("search") == "racing" and options.flag("minibatch")
    return racing and zero_shot(options) and options.text("auto") is not None


def proposed(options: Options) -> int:
    """Further instructions that are proposed at every look, for every predictor."""
    return BARE_PROPOSED if rewrites(options) else PROPOSED


def written_first(options: Options, chosen: Sizes) -> int:
    """Instructions of every predictor before any score is known, its own among them: no more than are tried until the next ones
    are written in view of these scores."""
    return min(chosen.instructions, 1 + LOOK) if rewrites(options) else chosen.instructions


def most_trials(options: Options, predictors: int, ways: int = 1) -> int:
    """Trials at most, if there are combinations enough."""
    chosen = sizes(options, predictors, ways)
    return BARE_TRIALS * chosen.trials if rewrites(options) else chosen.trials


def looks(options: Options, predictors: int, ways: int = 1, tried: int | None = None) -> int:
    """How often further instructions are proposed at most, among so many trials: never where none are at first."""
    chosen = sizes(options, predictors, ways)
    if options.text("search") != "racing" or chosen.instructions == 1:
        return 0
    return ((tried or most_trials(options, predictors, ways)) - 1) // LOOK


def strategy(
    options: Options,
    predictors: int,
    rows: int,
    finalists: int = 1,
    whole: int | None = None,
    ways: int = 1,
) -> tuple[Strategy, int]:
    """How trials are compared on `rows` rows of val, of which there may be more: `whole`; and how many trials that are."""
    planned = trials(options, predictors, ways)
    full_every = options.integer("minibatch_full_eval_steps")
    wave = LOOK if looks(options, predictors, ways) else full_every
    if not options.flag("minibatch"):
        return Full(wave), planned
    size = options.integer("minibatch_size")
    if options.text("search") == "minibatch":
        return Minibatch(size, full_every), planned
    chosen = sizes(options, predictors, ways)
    limit = min(whole or rows, chosen.limit or whole or rows)
    # The original scores the start on all rows, too, and some trials on the rows that their minibatch lacked.
    full, seen = 1 + -(-chosen.trials // full_every), min(size, limit)
    budget = SHARE * (seen * _asked(chosen, predictors, ways) + limit + (full - 1) * (limit - seen)) - rows

    def scorings(tried: int) -> float:
        """What is left for scoring once further instructions are written: with demos, as many as all trials would have."""
        return budget - proposed(options) * looks(
            options, predictors, ways, tried if rewrites(options) else None
        )

    # Rather fewer trials than such as are judged by fewer rows than tell anything.
    telling = min(BARE_TELLING if rewrites(options) else TELLING, rows)
    while planned > FEWEST and _race(scorings(planned), planned, rows, wave).first < telling:
        planned -= 1
    return _race(scorings(planned), planned, rows, wave, finalists), planned


def _race(budget: float, trials: int, rows: int, wave: int, finalists: int = 1) -> Racing:
    return Racing.within(budget, trials, rows, wave=wave, finalists=finalists, keeps=KEEPS)


def _asked(chosen: Sizes, predictors: int, ways: int) -> float:
    """How often a row is asked about in as many independent trials as the original draws, in the mean of the predictors. Trials
    that give a predictor the same options ask it once, unless those before it have others and say something else."""
    options = chosen.instructions * chosen.demo_sets

    def distinct(options: int) -> float:
        return options * (1 - (1 - 1 / options) ** chosen.trials)

    return fmean(
        (1 - APART) * distinct(ways * options) + APART * distinct(ways * options**place)
        for place in range(1, predictors + 1)
    )


def calls(options: Options, facts: Facts) -> Calls:
    chosen = sizes(options, facts.predictors, facts.ways)
    start = 0 if facts.student_scored else facts.val
    compared, tried = strategy(
        options, facts.predictors, facts.val, facts.finalists, facts.val_whole, facts.ways
    )
    rows = start + compared.most(tried, facts.val) + facts.moved * facts.val
    demos = options.integer("max_bootstrapped_demos")
    labeled = options.integer("max_labeled_demos")
    if zero_shot(options):
        demos = PROPOSER_DEMOS if options.flag("fewshot_aware_proposer") and chosen.instructions > 1 else 0
    elif chosen.demo_sets < 2 + (labeled > 0):
        # The sets that cost nothing come first; a teacher is asked only for further ones.
        demos = 0
    teacher = teacher_calls(demos, bootstrap_options(options, bootstrapped=demos, labeled=labeled), facts)
    if not facts.student_bare and chosen.demo_sets < 3 + (labeled > 0) and not zero_shot(options):
        # The student's own demos take a set's place, so that perhaps none is left for a teacher.
        teacher = Range(0, teacher.most)
    prompt = facts.predictors * (written_first(options, chosen) - 1)
    if prompt and options.flag("data_aware_proposer"):
        prompt += summary_calls(facts.train, options.integer("view_data_batch_size"))
    later = facts.predictors * proposed(options) * looks(options, facts.predictors, facts.ways, tried)
    return Calls(
        task=Range(start * facts.calls_per_run, rows * facts.calls_per_run),
        teacher=teacher,
        prompt=Range(prompt, prompt + later),
    )


def writes(options: Options, facts: Facts) -> Writes:
    """Of the questions, one joins what was observed of the data, and later ones show what was tried."""
    tried = sizes(options, facts.predictors).instructions
    tried += proposed(options) * looks(options, facts.predictors, facts.ways)
    return Writes(shown=max(MAX_BATCHES, tried + 1))


def _auto_and(name: str) -> Conflict:
    return Conflict(
        (name, "auto"),
        lambda options: (
            f"`auto` sets `{name}` itself"
            if options.text("auto") is not None and options[name] is not None
            else None
        ),
        help=f"leave `{name}` out, or write `auto = none` and set both `num_candidates` and `num_trials`",
    )


CONFLICTS = (
    _auto_and("num_candidates"),
    _auto_and("num_trials"),
    Conflict(
        ("auto", "num_candidates", "num_trials"),
        lambda options: (
            "`auto` is `none`, so `num_candidates` and `num_trials` must both be set"
            if options.text("auto") is None
            and (options["num_candidates"] is None or options["num_trials"] is None)
            else None
        ),
        help='set both, or leave it to `auto = "light"`',
    ),
    Conflict(
        ("search", "minibatch"),
        lambda options: (
            "`search` asks for minibatches, which `minibatch` turns off"
            if options.text("search") == "minibatch" and not options.flag("minibatch")
            else None
        ),
        help="leave one of the two out",
    ),
)
