"""DSPy's LabeledFewShot: a sample of the rows for each predictor, all from one generator."""

from __future__ import annotations

from dspec.runtime.schema.program import Program

from ..base import Context, Options, StepResult
from ..labeled_few_shot import SPEC
from .faithful import Faithful
from .few_shot import labeled


async def run(student: Program, options: Options, context: Context) -> StepResult:
    return StepResult(labeled(student, context.train, options.integer("k"), sample=options.flag("sample")))


FAITHFUL = Faithful(run, SPEC.calls)
