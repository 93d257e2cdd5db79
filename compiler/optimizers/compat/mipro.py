"""DSPy's MIPROv2: its split, its demo sets, and one generator for all draws.

One `Random(seed)` serves, in this order: the sample of val that `auto` takes, the order and size of the
demo sets, a tip and a number for each instruction, and the minibatches. The questions for instructions are
this project's; the proposal that DSPy asks for and then overwrites with the current instruction is not
asked for, though its draws are made. With `max_bootstrapped_demos = 0`, where DSPy fails, its shuffled
sets have labelled rows only.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import Row

from ...diagnostics.wording import plural
from ...evaluate.counts import Calls, Range
from ..base import Context, Facts, OptimizerError, Options, StepResult
from ..bootstrap_few_shot import teacher_calls
from ..demo_sets import bootstrap_options
from ..demos import without_demos
from ..frozen import tunable
from ..mipro_plan import AUTO, PROPOSER_DEMOS, sizes, zero_shot
from ..proposing import Proposer, clean, summary_calls
from ..proposing.outline import outline, role
from ..proposing.showing import demos_of, shown
from ..proposing.summary import summarize
from ..proposing.templates import fill
from ..proposing.tips import TIPS
from .faithful import Faithful
from .few_shot import bootstrapped, labeled
from .mipro_search import FaithfulPool, Schedule, search

if TYPE_CHECKING:
    from ...data.rows import Rows

MINIBATCH_ABOVE = 50
"""With `auto`, trials see minibatches where val has more rows than this."""
MOST_VAL = 1000
"""Rows of train that become val, at most, where there is none."""
SHOWN_DEMOS = 3
"""Demos that a question for an instruction shows."""


async def run(student: Program, options: Options, context: Context) -> StepResult:
    draws = random.Random(context.seed)  # noqa: S311 - DSPy's generator
    train, val = context.train, context.val
    refused = _refuses(options, len(train), len(val) if context.val_given else None)
    if refused is not None:
        raise refused
    if not context.val_given:
        cut = len(train) - val_rows(len(train))
        train, val = train[:cut], train[cut:]
    val = _sampled(val, options, draws)
    size = trial_rows(options, len(val))
    sets = await _demo_sets(student, train, options, context, draws)
    instructions = await _instructions(student, train, sets, options, context, draws)
    demos = tuple(tuple(one.predictors[address].demos for one in sets) for address in tunable(student))
    pool = FaithfulPool(tuple(tunable(student)), instructions, () if zero_shot(options) else demos)
    schedule = Schedule(
        sizes(options, len(tunable(student))).trials,
        size,
        options.integer("minibatch_full_eval_steps") if _minibatches(options, len(val)) else None,
    )
    return await search(student, pool, schedule, val, context, draws)


def refuses(options: Options, facts: Facts) -> OptimizerError | None:
    """What of `options` and rows DSPy's schedule cannot run with."""
    return _refuses(options, facts.train, facts.val if facts.val_given else None)


def _refuses(options: Options, train: int, val: int | None) -> OptimizerError | None:
    if val is None and train < 2:
        return OptimizerError(
            "MIPROv2 splits train where there is no val, and one row cannot be split",
            help="name rows to choose by: `val = …`",
        )
    rows = val_rows(train) if val is None else val
    auto = options.text("auto")
    rows = rows if auto is None else min(AUTO[auto][1], rows)
    size = trial_rows(options, rows)
    if size <= rows:
        return None
    kept = " after `auto` has drawn from it" if auto is not None and val != rows else ""
    return OptimizerError(
        f"`minibatch_size` is {size}, and val has {plural(rows, 'row')}{kept}",
        help="lower it, or write `minibatch = false`",
    )


def val_rows(train: int) -> int:
    """How many of train's last rows become val."""
    return min(MOST_VAL, max(1, int(train * 0.8)))


def _sampled(val: Rows, options: Options, draws: random.Random) -> Rows:
    auto = options.text("auto")
    if auto is None:
        return val
    places = draws.sample(range(len(val)), min(AUTO[auto][1], len(val)))
    return tuple(val[place] for place in places)


def _minibatches(options: Options, val: int) -> bool:
    return val > MINIBATCH_ABOVE if options.text("auto") is not None else options.flag("minibatch")


def trial_rows(options: Options, val: int) -> int:
    """Rows that a trial is scored on, of `val` rows after `auto` has sampled them."""
    return options.integer("minibatch_size") if _minibatches(options, val) else val


def _sets(options: Options) -> int:
    auto = options.text("auto")
    return options.integer("num_candidates") if auto is None else AUTO[auto][0]


def _set_sizes(options: Options) -> tuple[int, int]:
    """Demos of a set that are bootstrapped, and labelled ones. Without either, sets are for the proposer."""
    if zero_shot(options):
        return PROPOSER_DEMOS, 0
    return options.integer("max_bootstrapped_demos"), options.integer("max_labeled_demos")


async def _demo_sets(
    student: Program, train: Rows, options: Options, context: Context, draws: random.Random
) -> list[Program]:
    """No demos, labels only, unshuffled, and shuffled sets; without labels, the second is shuffled, too."""
    most, labels = _set_sizes(options)
    settings = bootstrap_options(options, bootstrapped=most, labeled=labels)
    sets: list[Program] = []
    for number in range(_sets(options)):
        if number == 0:
            sets.append(without_demos(student))
            continue
        if number == 1 and labels:
            sets.append(labeled(student, train, labels))
            continue
        rows, demos = list(train), most
        if number != 2:
            draws.shuffle(rows)
            demos = draws.randint(1, most) if most else 0
        made, halt = await bootstrapped(student, tuple(rows), settings, context, demos=demos, labels=labels)
        if halt is not None:
            raise halt
        sets.append(made)
    return sets


async def _instructions(
    student: Program,
    train: Rows,
    sets: list[Program],
    options: Options,
    context: Context,
    draws: random.Random,
) -> tuple[tuple[str, ...], ...]:
    """By predictor: the current instruction, then proposals, in the order asked for.

    An answer that cannot be used counts as the current instruction, so that the others keep their places.
    """
    wanted = min(sizes(options, len(tunable(student))).instructions, len(sets))
    proposer = Proposer(context, student)
    summary = ""
    if options.flag("data_aware_proposer") and wanted > 1:
        summary = await summarize(proposer, train, options.integer("view_data_batch_size"))
    found: list[tuple[str, ...]] = []
    for address, predictor in tunable(student).items():
        current = predictor.signature.instruction
        texts = [current]
        for number in range(wanted):
            tip = draws.choice(TIPS) if options.flag("tip_aware_proposer") else ""
            sample = draws.randint(0, 10**9)
            if number == 0:
                continue
            aware = options.flag("program_aware_proposer")
            examples = _examples(address, sets, number) if options.flag("fewshot_aware_proposer") else []
            inputs = {
                "data_summary": summary,
                "program": outline(student) if aware else "",
                "module": role(student, address),
                "examples": shown(examples),
                "current_instruction": current,
                "tip": tip,
            }
            inputs = {name: text for name, text in inputs.items() if text}
            answer = await proposer.ask(
                fill("grounded", given=list(inputs)),
                inputs,
                "instruction",
                sample=sample,
                temperature=options.number("init_temperature"),
            )
            texts.append(clean(answer or "") or current)
        found.append(tuple(texts))
    return tuple(found)


def _examples(address: str, sets: list[Program], number: int) -> list[Row]:
    """The first bootstrapped demos from this set on, and round to the sets before it."""
    order = [*sets[number:], *sets[:number]]
    rows = [row for program in order for row in demos_of(program.predictors[address], SHOWN_DEMOS)]
    return rows[:SHOWN_DEMOS]


def _calls(options: Options, facts: Facts) -> Calls:
    train, val = facts.train, facts.val
    if not facts.val_given:
        # One row cannot be split: `run` says so.
        val = val_rows(train) if train > 1 else 1
        train -= val
    auto = options.text("auto")
    val = val if auto is None else min(val, AUTO[auto][1])
    chosen = sizes(options, facts.predictors)
    size = min(val, trial_rows(options, val))
    rows = chosen.trials * size + (0 if facts.student_scored else val)
    if _minibatches(options, val):
        # A minibatch of what is scored on all rows has been scored before.
        rows += (val - size) * -(-chosen.trials // options.integer("minibatch_full_eval_steps"))
    most, labels = _set_sizes(options)
    settings = bootstrap_options(options, bootstrapped=most, labeled=labels)
    once = teacher_calls(most, settings, replace(facts, train=train))
    sets = max(0, _sets(options) - (2 if labels else 1))
    wanted = min(chosen.instructions, _sets(options))
    prompts = facts.predictors * (wanted - 1)
    if prompts and options.flag("data_aware_proposer"):
        prompts += summary_calls(train, options.integer("view_data_batch_size"))
    # Trials may choose what an earlier one chose, and sets may ask the teacher what an earlier one asked.
    return Calls(
        task=Range(0 if facts.student_scored else val * facts.calls_per_run, rows * facts.calls_per_run),
        teacher=Range(min(once.least, facts.teacher_calls) if sets else 0, once.most * sets),
        prompt=Range(prompts, prompts),
    )


FAITHFUL = Faithful(run, _calls, unknown=("search",), scores_val=False, splits=True, refuses=refuses)
