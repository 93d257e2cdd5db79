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
from dataclasses import dataclass, replace

from dspec.runtime.expressions import Apply, BinaryOp, Constant, Expression, If, UnaryOp
from dspec.runtime.functions import FUNCTIONS
from dspec.runtime.program import canonical
from dspec.runtime.types import BOOL, JsonValue

from . import ir
from .optimizers.base import Options
from .optimizers.demos import labels_for
from .optimizers.table import SPECS
from .plan import Plan, Resolved, plan_resolved

SEARCH = "BootstrapFewShotWithRandomSearch"
FEW, SOME, MANY = 20, 50, 200
"""Rows of train and val together: below the first, nothing can be compared; from the second, demo sets can; from
the third, instructions and demos together."""
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"})


@dataclass(frozen=True, slots=True)
class Situation:
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

    @property
    def rows(self) -> int:
        return self.train + self.val


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Steps to paste, why, and what the compile would ask for: baseline, steps and final scoring."""

    steps: tuple[ir.StepSpec, ...]
    why: str
    plan: Plan
    fits: bool
    """Whether the plan's bound is within the block's budget of calls."""
    needs: tuple[str, ...] = ()
    """What else the file must have for it."""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(step_line(step) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Advice:
    """`suggestions` are best first, `notes` what would change the advice."""

    situation: Situation
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]


def advise(project: ir.Project, resolved: Resolved, *, prompt_only: bool = False) -> Advice:
    """Advice for an optimize block; `prompt_only` rules out whatever puts rows into prompts."""
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
        calls_per_run=student.calls_per_run(),
        graded=graded,
        accepts=not graded or metric.accept is not None,
        feedback=metric.feedback is not None,
        prompt_only=prompt_only,
        budget=optimize.budget.calls,
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


def step_line(step: ir.StepSpec) -> str:
    """The step as it is written in a `.dspec` file."""
    given = [f"{name} = {_written(value)}" for name, value in step.options.items()]
    if step.teacher is not None:
        given.insert(0, f"teacher = {step.teacher}")
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
    said = "the metric's `feedback` says what was wrong, which a reflection turns into a better instruction"
    if s.prompt_only or (not s.labelled and not s.accepts):
        if s.feedback:
            yield (reflect,), said
        reason = "prompts show no rows" if s.prompt_only else "no row of train can be shown as a demo"
        yield (bare,), f"{reason}: a model rewrites the instructions, grounded in the data"
        yield (
            (_step("ascent", "COPRO"),),
            "rewrites one instruction after the other, each round from the best so far",
        )
        return
    if s.rows < FEW:
        yield (demos,), f"{s.rows} rows are too few to compare programs on: collect runs that pass as demos"
        if s.labelled:
            yield (labels,), "asks nothing of a model: labelled rows as they are"
        return
    search = _step("search", SEARCH, num_candidate_programs=10)
    joint = _step("joint", "MIPROv2", auto="medium" if s.rows >= 2 * MANY else "light")
    if s.rows >= MANY:
        yield (joint,), f"{s.rows:,} rows tell instructions and demos apart: both are searched together"
        yield (search,), "demos alone, and no model that writes: half as much can go wrong"
    elif s.rows >= SOME:
        yield (search,), f"{s.rows} rows tell demo sets apart: the best of ten is raced for"
    else:
        small = replace_options(search, num_candidate_programs=4)
        yield (demos,), f"{s.rows} rows tell a good program from a bad one, and not the best of many"
        yield (small,), "a few demo sets compared: what wins has to be well ahead to be kept"
    if s.feedback:
        yield (reflect,), said
    if SOME <= s.rows < MANY:
        yield (joint,), f"instructions as well as demos; {MANY} rows and more would make its choice surer"
    if s.train >= SOME and s.predictors == 1:
        yield (
            (_step("near", "KNNFewShot", k=4),),
            f"{s.train} rows to look up: every input is shown those most like it",
        )
    if s.rows >= SOME:
        yield (demos,), "the cheapest that asks at all: demos that pass, nothing compared"
    if s.labelled:
        yield (labels,), "asks nothing of a model: labelled rows as they are"


def replace_options(step: ir.StepSpec, **options: JsonValue) -> ir.StepSpec:
    return step.model_copy(update={"options": {**step.options, **options}})


def _priced(
    project: ir.Project, resolved: Resolved, situation: Situation, steps: tuple[ir.StepSpec, ...], why: str
) -> Suggestion:
    block = resolved.optimize.model_copy(update={"steps": steps, "emit": steps[-1].name})
    planned = plan_resolved(project, replace(resolved, optimize=block))
    needs: list[str] = []
    specs = [SPECS[step.optimizer] for step in steps]
    makes_demos = any(
        spec.bootstraps and Options(spec, step.options)["max_bootstrapped_demos"]
        for spec, step in zip(specs, steps, strict=True)
        if spec.option("max_bootstrapped_demos")
    )
    if makes_demos and not situation.accepts:
        needs.append("the score is graded: say in the metric which runs may become demos, `accept = …`")
    if any(spec.needs_val for spec in specs) and not situation.val:
        needs.append("name rows to compare on, `val = …`: on train, what was learned by heart looks best")
    fits = situation.budget is None or planned.most <= situation.budget
    return Suggestion(steps, why, planned, fits, tuple(needs))


def _notes(s: Situation) -> Iterator[str]:
    if not s.feedback:
        yield "with `feedback` in the metric, GEPA could learn from what was wrong, and not only from how often"
    if s.val and s.rows >= SOME:
        share = 100 * s.train // s.rows
        if share > 50:
            yield (
                f"{share} % of the rows are train: searches learn from few rows and compare on many, about 20 % "
                "train and 80 % val; GEPA is the other way round"
            )
    if s.rows < SOME:
        yield f"with {SOME} rows, demo sets could be compared; with {MANY}, instructions as well"
