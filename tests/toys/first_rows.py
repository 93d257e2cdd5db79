"""FirstRows: the first rows of train as demos. It would stand in `compiler/optimizers/`."""

from __future__ import annotations

from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls
from .base import Context, Facts, Option, Options, Spec, StepResult
from .demos import with_labels, without_demos


def _calls(options: Options, facts: Facts) -> Calls:
    return Calls()


SPEC = Spec(
    name="FirstRows",
    doc="Puts the first rows of train into the prompt.",
    source="a test",
    options=(Option("k", "int", 2, "Rows to show.", minimum=1, counts="train"),),
    sets=frozenset({"demos"}),
    calls=_calls,
    shape=lambda student, options: without_demos(student),
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    return StepResult(with_labels(student, context.train, options.integer("k"), None))
