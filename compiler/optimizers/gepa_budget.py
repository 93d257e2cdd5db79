"""What GEPA may spend: rows scored, and reflections. Arithmetic only.

A budget counts metric calls as DSPy does, one for each row that a program is scored on, with one difference:
a row on which the same program has been scored in this step is not counted again.
"""

from __future__ import annotations

import math

from ..evaluate.counts import Calls, Range
from .base import Conflict, Facts, Options

AUTO = {"light": 6, "medium": 12, "heavy": 18}
"""By `auto`: about how many candidates the budget is made for."""
MINIBATCH = 35
FULL_EVERY = 5
"""The search that `auto` makes room for: trials on minibatches, and now and then a full evaluation."""


SHARE, LEAST = 0.42, 500
"""What is spent of that where val has more rows than candidates are scored on, and what is spent at least, if it is as much."""


def auto_calls(candidates: int, predictors: int, val: int) -> int:
    """DSPy's size of an `auto` budget; a val smaller than its minibatch takes the minibatch's place."""
    trials = int(max(4 * predictors * math.log2(candidates), 1.5 * candidates))
    full = (trials + 1) // FULL_EVERY + 1 + (trials < FULL_EVERY)
    return val + 5 * candidates + min(MINIBATCH, val) * trials + full * val


def metric_calls(
    options: Options, predictors: int, train: int, val: int, *, val_given: bool, whole: int | None = None
) -> int:
    """Rows that the step may score; `auto = "light"` where no budget is given. Of val there may be more rows than the step
    scores, `whole`, by which an `auto` budget is sized."""
    calls, passes = options["max_metric_calls"], options["max_full_evals"]
    if isinstance(calls, int):
        return calls
    if isinstance(passes, int):
        return passes * (train + val if val_given else train)
    candidates = AUTO[options.text("auto") or "light"]
    if whole is None:
        return auto_calls(candidates, predictors, val)
    most = auto_calls(candidates, predictors, whole)
    return max(2 * val, min(LEAST, most), int(SHARE * most))


def reflections(budget: int, batch: int, val: int) -> int:
    """Times that the instructions are reflected on at most.

    What is left after the student's scoring has to hold, each time, a minibatch of the parent and one of the
    child, and once all of val for a child that does better.
    """
    return 0 if budget < 2 * val else (budget - 2 * val) // (2 * batch) + 1


def calls(options: Options, facts: Facts) -> Calls:
    """The cost formula. A budget too small to score the student leaves that to the end of the compile."""
    budget = metric_calls(
        options, facts.predictors, facts.train, facts.val, val_given=facts.val_given, whole=facts.val_whole
    )
    known = facts.val if facts.student_scored else 0
    if budget < facts.val:
        return Calls(task=Range(0, (facts.val - known) * facts.calls_per_run))
    batch = min(options.integer("reflection_minibatch_size"), facts.train)
    each = facts.texts if options.text("component_selector") == "all" else min(1, facts.texts)
    return Calls(
        task=Range((facts.val - known) * facts.calls_per_run, (budget - known) * facts.calls_per_run),
        prompt=Range(0, reflections(budget, batch, facts.val) * each),
    )


CONFLICTS = tuple(
    Conflict(
        names,
        lambda options, names=names: (
            f"`{names[0]}` and `{names[1]}` are both budgets, and there can be only one"
            if all(options[name] is not None for name in names)
            else None
        ),
        help="leave one of the two out",
    )
    for names in (
        ("auto", "max_metric_calls"),
        ("auto", "max_full_evals"),
        ("max_full_evals", "max_metric_calls"),
    )
)
