"""FirstRows: the first rows of train as demos. It would stand in `compiler/optimizers/`."""

from __future__ import annotations

from collections.abc import Iterator

from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls
from .advising import Idea, Situation
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult
from .demos import with_labels, without_demos


def _calls(options: Options, facts: Facts) -> Calls:
    return Calls()


def _advise(situation: Situation) -> Iterator[Idea]:
    if situation.labelled:
        yield Idea("cheap", "first", "the first rows are the clearest", {"k": 1})


SPEC = Spec(
    name="FirstRows",
    doc="Puts the first rows of train into the prompt.",
    suits="rows that are in order",
    about="Where somebody has sorted the rows, the clearest first.",
    costs="none.",
    source="a test",
    options=(Option("k", "int", 2, "Rows to show.", minimum=1, counts="train"),),
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=lambda options, facts: Shows(options.integer("k")),
    advise=_advise,
    shape=lambda student, options: without_demos(student),
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    return StepResult(with_labels(student, context.train, options.integer("k"), None))
