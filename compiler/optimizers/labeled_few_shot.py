"""LabeledFewShot: labelled training rows as demos, without a single model call.

Algorithm: `LabeledFewShot` of DSPy. Each predictor gets its own sample of the rows that can show it
something; existing demos are replaced, instructions stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls
from .advising import FEW, Idea, Situation
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult
from .demos import labelled, with_labels, without_demos
from .frozen import tunable


def _calls(options: Options, facts: Facts) -> Calls:
    return Calls()


def _advise(s: Situation) -> Iterator[Idea]:
    if s.labelled and not s.no_demos:
        why = "shows labelled rows as they are, and asks nothing of a model"
        yield Idea("next" if s.rows < FEW else "free", "labels", why, {"k": min(16, s.labelled)})


SPEC = Spec(
    name="LabeledFewShot",
    doc="Puts labelled training rows into the prompt as they are. Makes no model calls.",
    suits="labels and no money",
    about="The cheapest start: rows with labels, no model. It replaces the demos and keeps instructions.",
    costs="none.",
    source="DSPy, LabeledFewShot",
    options=(
        Option(
            "k", "int", 16, "Demos per predictor; all rows where there are fewer.", minimum=0, counts="train"
        ),
        Option("sample", "bool", True, "Draw the rows at random; false takes the first k in order."),
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=lambda options, facts: Shows(options.integer("k")),
    shape=lambda student, options: without_demos(student),
    needs_metric=False,
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    rng = context.rng if options.flag("sample") else None
    program = with_labels(student, context.train, options.integer("k"), rng, context.room)
    unlabelled = [
        address
        for address, predictor in tunable(student).items()
        if not any(labelled(predictor, row, student.records) for row in context.train)
    ]
    notes = tuple(f"no row has a label for `{address}`: it gets no demos" for address in unlabelled)
    return StepResult(program, notes=notes)
