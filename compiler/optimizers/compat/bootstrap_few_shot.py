"""DSPy's BootstrapFewShot. A student that was bootstrapped before, which DSPy refuses, is taken as it is."""

from __future__ import annotations

from dspec.runtime.schema.program import Program

from ..base import Context, Options, StepResult
from ..bootstrap_few_shot import SPEC
from .faithful import Faithful
from .few_shot import bootstrapped


async def run(student: Program, options: Options, context: Context) -> StepResult:
    program, halt = await bootstrapped(
        student,
        context.train,
        options,
        context,
        demos=options.integer("max_bootstrapped_demos"),
        labels=options.integer("max_labeled_demos"),
    )
    if halt is not None and not any(
        demo.augmented for one in program.predictors.values() for demo in one.demos
    ):
        raise halt
    return StepResult(program, cut=halt)


FAITHFUL = Faithful(run, SPEC.calls)
