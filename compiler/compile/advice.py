"""Which optimizer should I use? Suggestions from the data, the program and the metric at hand.

The guide is the field's own, sized in rows: about 10, BootstrapFewShot; from 50, a random search over demo sets;
from 200, MIPROv2, which searches instructions as well; instructions only where prompts may show no rows or
where no row has labels; and reflection first where the metric says what was wrong. What is asked of a guide
besides is the price: every suggestion carries the calls that `plan` gives for it, and one that would pass
the block's budget comes after those that would not.

A suggestion is a step to paste, not a change: nothing is written, and no model is called.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.expressions import Apply, BinaryOp, Constant, Expression, If, UnaryOp
from dspec.runtime.schema.program import canonical
from dspec.runtime.schema.types import BOOL, JsonValue
from dspec.runtime.values.functions import FUNCTIONS

from .. import ir
from ..optimizers.demos import labels_for
from ..optimizers.table import SPECS
from .plan import Plan, plan_resolved
from .prepared import Prepared, Resolved

SEARCH = "BootstrapFewShotWithRandomSearch"
FEW, SOME, MANY = 20, 50, 200
"""Rows of train and val together: below the first, nothing can be compared; from the second, demo sets can; from
the third, instructions and demos together."""
LABELS = "shows labelled rows as they are, and asks nothing of a model"
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"})


class Situation(Struct, frozen=True):
    """What the advice rests on. `labelled` counts rows of train that can be shown as a demo."""

    optimize: str
    train: int
    val: int
    """0 where the block names none: candidates would then be compared on train."""
    labelled: int
    predictors: int
    calls_per_run: int
    graded: bool
    accepts: bool
    """Whether the metric says which runs may become demos: by `accept`, or by a score that is a bool."""
    feedback: bool
    prompt_only: bool
    budget: int | None
    """Model calls, where the block bounds them."""
    usd: float | None = None
    """The block's bound in money."""
    faithful: bool = False
    """Every step of the block has DSPy's schedule, which a suggested step has to take back."""

    @property
    def rows(self) -> int:
        return self.train + self.val


class Suggestion(Struct, frozen=True):
    """Steps to paste, why, and what the compile would ask for: baseline, steps and final scoring."""

    steps: tuple[ir.StepSpec, ...]
    why: str
    plan: Plan
    over: tuple[str, ...] = ()
    """The block's bounds that the plan's most may pass, as `20 calls` or `$0.50`."""
    needs: tuple[str, ...] = ()
    """What else the file must have for it."""
    taken_back: bool = False
    """The lines say `compat = none`."""

    @property
    def fits(self) -> bool:
        """Whether the plan's most is within the block's budget, as far as that is known."""
        return not self.over

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(step_line(step, own_schedule=self.taken_back) for step in self.steps)


class Advice(Struct, frozen=True):
    """`suggestions` are best first, `notes` what would change the advice."""

    situation: Situation
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]


def advise(prepared: Prepared, name: str, *, prompt_only: bool = False) -> Advice:
    """Advice for optimize block `name`; `prompt_only` rules out whatever puts rows into prompts."""
    project, resolved = prepared.project, prepared.resolved(name)
    situation = describe(resolved, prompt_only=prompt_only)
    made = [_priced(project, resolved, situation, steps, why) for steps, why in _ideas(situation)]
    # Stable: of those that fit, the guide's order stays.
    made.sort(key=lambda suggestion: not suggestion.fits)
    return Advice(situation, tuple(made), tuple(_notes(situation)))


def describe(resolved: Resolved, *, prompt_only: bool = False) -> Situation:
    student, metric, optimize = resolved.student, resolved.metric, resolved.optimize
    shown = [
        {row.index for row in resolved.train if labels_for(one, (row,))}
        for one in student.predictors.values()
    ]
    graded = not gives_bool(metric.score)
    return Situation(
        optimize=optimize.name,
        train=len(resolved.train),
        val=0 if optimize.val is None else len(resolved.val),
        labelled=len(set[int]().union(*shown)),
        predictors=len(student.predictors),
        calls_per_run=calls_per_run(student),
        graded=graded,
        accepts=not graded or metric.accept is not None,
        feedback=metric.feedback is not None,
        prompt_only=prompt_only,
        budget=optimize.budget.calls,
        usd=optimize.budget.usd,
        faithful=all(step.compat is not None for step in optimize.steps),
    )


def gives_bool(expression: Expression) -> bool:
    """Whether an expression is true or false by its form."""
    match expression:
        case BinaryOp(operator=operator):
            return operator in COMPARISONS
        case UnaryOp(operator=operator):
            return operator == "not"
        case Apply(function=name):
            return name in FUNCTIONS and FUNCTIONS[name].result == BOOL
        case If(consequence=consequence, alternative=alternative):
            return gives_bool(consequence) and gives_bool(alternative)
        case Constant(value=value):
            return isinstance(value, bool)
        case _:
            return False


def step_line(step: ir.StepSpec, *, own_schedule: bool = False) -> str:
    """The step as it is written in a `.dspec` file; `own_schedule` says so in a block with `compat = "dspy"`."""
    given = [f"{name} = {_written(value)}" for name, value in step.options.items()]
    if step.teacher is not None:
        given.insert(0, f"teacher = {step.teacher}")
    if own_schedule:
        given.append("compat = none")
    return f"step {step.name} = {step.optimizer}({', '.join(given)})"


def _written(value: JsonValue) -> str:
    return "none" if value is None else canonical(value)


def _step(name: str, optimizer: str, **options: JsonValue) -> ir.StepSpec:
    return ir.StepSpec(name=name, optimizer=optimizer, options=options)


def _ideas(s: Situation) -> Iterator[tuple[tuple[ir.StepSpec, ...], str]]:
    """Steps and reasons in the guide's order."""
    reflect = _step("reflect", "GEPA", auto="light")
    bare = _step("reword", "MIPROv2", auto="light", max_bootstrapped_demos=0, max_labeled_demos=0)
    demos = _step(
        "demos",
        "BootstrapFewShot",
        max_bootstrapped_demos=min(4, s.train),
        max_labeled_demos=min(16, s.train),
    )
    labels = _step("labels", "LabeledFewShot", k=min(16, s.labelled))
    said = "the metric's `feedback` says what was wrong; a model reads it and rewrites the instruction"
    if s.prompt_only or (not s.labelled and not s.accepts):
        if s.feedback:
            yield (reflect,), said
        reason = "prompts may show no rows" if s.prompt_only else "no row of train can be shown as a demo"
        yield (bare,), f"{reason}: a model writes new instructions in view of the data"
        yield (
            (_step("ascent", "COPRO"),),
            "a model rewords one instruction after the other, each round from the best so far",
        )
        return
    if s.rows < FEW:
        few = (demos,), f"{s.rows} rows are too few to compare programs on: runs that pass become demos"
        plain = (labels,), LABELS
        if not s.labelled:
            yield few
        else:
            enough = s.train >= SPECS["BootstrapFewShot"].advised_train
            yield from (few, plain) if enough else (plain, few)
        return
    search = _step("search", SEARCH, num_candidate_programs=10)
    joint = _step("joint", "MIPROv2", auto="medium" if s.rows >= 2 * MANY else "light")
    if s.rows >= MANY:
        yield (joint,), f"{s.rows:,} rows are enough to search instructions and demos together"
        yield (search,), "searches demos alone: no model has to write instructions"
    elif s.rows >= SOME:
        yield (search,), f"{s.rows} rows are enough to compare demo sets: ten of them race"
    else:
        small = replace_options(search, num_candidate_programs=4)
        yield (demos,), f"{s.rows} rows are too few to find the best of many: runs that pass become demos"
        yield (small,), "compares a few demo sets; the winner is kept only if it is well ahead"
    if s.feedback:
        yield (reflect,), said
    if SOME <= s.rows < MANY:
        yield (joint,), f"searches instructions, too; {MANY} rows or more would make its choice surer"
    if s.train >= SOME and s.predictors == 1:
        yield (
            (_step("near", "KNNFewShot", k=4),),
            f"shows every input the 4 of {s.train} rows that are most like it",
        )
    if s.rows >= SOME:
        yield (demos,), "compares nothing, so it is cheap: runs that pass become demos"
    if s.labelled:
        yield (labels,), LABELS


def replace_options(step: ir.StepSpec, **options: JsonValue) -> ir.StepSpec:
    return step.model_copy(update={"options": {**step.options, **options}})


def _priced(
    project: ir.Project, resolved: Resolved, situation: Situation, steps: tuple[ir.StepSpec, ...], why: str
) -> Suggestion:
    block = resolved.optimize.model_copy(update={"steps": steps, "emit": steps[-1].name})
    planned = plan_resolved(project, replace(resolved, optimize=block))
    needs: list[str] = []
    specs = [SPECS[step.optimizer] for step in steps]
    # Without demos, MIPROv2 still bootstraps a few to show them to the model that writes.
    if any(spec.bootstraps for spec in specs) and not situation.accepts:
        needs.append("`accept = …` in the metric: the score is graded, so say which runs may become demos")
    if any(spec.needs_val for spec in specs) and not situation.val:
        needs.append("`val = …`: compared on train, what was learned by heart looks best")
    return Suggestion(steps, why, planned, tuple(_over(situation, planned)), tuple(needs), situation.faithful)


def _over(s: Situation, planned: Plan) -> Iterator[str]:
    if s.budget is not None and planned.most > s.budget:
        yield f"{s.budget:,} calls"
    if s.usd is not None and planned.estimate.most_usd is not None and planned.estimate.most_usd > s.usd:
        yield f"${s.usd:,.2f}"


def _notes(s: Situation) -> Iterator[str]:
    if not s.feedback:
        yield "with `feedback = …` in the metric, GEPA could learn from what went wrong"
    if s.val and s.rows >= SOME:
        share = 100 * s.train // s.rows
        if share > 50:
            yield (
                f"{share} % of these rows are train: searches need few to learn from and many to compare on, "
                "so 20 % train and 80 % val suits them better"
            )
    if s.rows < SOME:
        yield f"with {SOME} rows, demo sets could be compared; with {MANY}, instructions as well"
    if s.faithful:
        yield '`compat = none` takes a step out of the block\'s `compat = "dspy"`, on whose schedule it would cost more'
