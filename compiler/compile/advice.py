"""Ranks what the optimizers propose for the data, the program and the metric at hand.

The guide is the field's own, sized in rows: few are shown as they are, more are enough to compare sets of demos, many to
search instructions as well; instructions alone where prompts may show no rows or where no row has labels; and reflection
early where the metric says what was wrong. What an optimizer has to say to that stands in its own file (`Spec.advise`).
What is asked of a guide besides is the price: every suggestion carries the calls that `plan` gives for it, and one that
would pass the block's budget comes after those that would not.

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
from ..diagnostics.wording import plural
from ..evaluate.shares import right_or_wrong
from ..optimizers.advising import MANY, SOME, STANDINGS, Idea, Situation
from ..optimizers.demos import labels_for
from ..optimizers.table import SPECS
from ..optimizers.training.table import tunable_models
from . import enough
from .plan import Plan, plan_resolved
from .prepared import Prepared, Resolved

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"})


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
    resolved = prepared.resolved(name)
    situation = describe(resolved, prompt_only=prompt_only)
    ideas = [(spec.name, idea) for spec in SPECS.values() for idea in spec.advise(situation)]
    ideas.sort(key=lambda one: STANDINGS.index(one[1].standing))
    made = [_priced(prepared, resolved, situation, optimizer, idea) for optimizer, idea in ideas]
    # Stable: of those that fit, the guide's order stays.
    made.sort(key=lambda suggestion: not suggestion.fits)
    return Advice(situation, tuple(made), tuple(_notes(situation)))


def describe(resolved: Resolved, *, prompt_only: bool = False) -> Situation:
    student, metric, optimize = resolved.student, resolved.metric, resolved.optimize
    shown = [
        {row.index for row in resolved.train if labels_for(one, (row,))}
        for one in student.predictors.values()
    ]
    either = right_or_wrong(metric)
    graded = not (gives_bool(metric.score) if either is None else either)
    return Situation(
        optimize=optimize.name,
        train=len(resolved.train),
        val=0 if optimize.val is None else len(resolved.val),
        labelled=len(set[int]().union(*shown)),
        predictors=len(student.predictors),
        calls_per_run=calls_per_run(student),
        graded=graded,
        accepts=not graded or metric.accept is not None,
        feedback=metric.feedback is not None or bool(metric.feedbacks),
        prompt_only=prompt_only,
        budget=optimize.budget.calls,
        usd=optimize.budget.usd,
        tunable=tunable_models(resolved.student, {}),
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


def _priced(
    prepared: Prepared, resolved: Resolved, situation: Situation, optimizer: str, idea: Idea
) -> Suggestion:
    step = ir.StepSpec(name=idea.step, optimizer=optimizer, options=dict(idea.options))
    block = resolved.optimize.model_copy(update={"steps": (step,), "emit": step.name})
    raced, rest = enough.parts(block, resolved.metric, resolved.train, resolved.val)
    instead = replace(resolved, optimize=block, raced=raced, rest=rest)
    planned = plan_resolved(prepared.project, instead, prepared.folder)
    needs: list[str] = []
    spec = SPECS[optimizer]
    # Also of a step without demos: it may bootstrap a few to show them to the model that writes.
    if spec.bootstraps and not situation.accepts:
        needs.append("`accept = …` in the metric: the score is graded, so say which runs may become demos")
    if spec.needs_val and not situation.val:
        needs.append("`val = …`: compared on train, what was learned by heart looks best")
    return Suggestion(
        (step,), idea.why, planned, tuple(_over(situation, planned)), tuple(needs), situation.faithful
    )


def _over(s: Situation, planned: Plan) -> Iterator[str]:
    if s.budget is not None and planned.most > s.budget:
        yield plural(s.budget, "call")
    if s.usd is not None and (usd := planned.expected().usd) is not None and usd > s.usd:
        yield f"${s.usd:,.2f}"


def _notes(s: Situation) -> Iterator[str]:
    learning = list(_from_feedback(s))
    if not s.feedback and learning:
        names = " and ".join(learning)
        yield f"with `feedback = …` in the metric, {names} could learn from what went wrong"
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


def _from_feedback(s: Situation) -> Iterator[str]:
    """The optimizers that would be suggested if there were feedback, and enough rows, and are not without."""
    enough = replace(s, train=max(s.train, MANY))
    for spec in SPECS.values():
        if any(spec.advise(replace(enough, feedback=True))) and not any(
            spec.advise(replace(enough, feedback=False))
        ):
            yield spec.name
