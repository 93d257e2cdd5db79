"""Asking the model that writes: one question, one text, through the engine like every other call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspec.runtime.expressions import Member, Variable
from dspec.runtime.program import CallStep, FieldSpec, Predictor, Program, Signature
from dspec.runtime.types import STR, Row

from ..optimizers.base import OptimizerError, PromptModel

if TYPE_CHECKING:
    from ..optimizers.base import Context


class Proposer:
    """The prompt model of one step: the block's `prompt_lm`, else the model of the student's first predictor."""

    def __init__(self, context: Context, student: Program) -> None:
        self._context = context
        self._model = context.prompt_model or _own_model(student)

    async def ask(
        self, task: str, inputs: dict[str, str], output: str, *, sample: int = 0, temperature: float | None = None
    ) -> str | None:
        """The model's text for `output`; None when its answer cannot be read.

        `task` says what to write; `sample` tells questions apart that are otherwise the same. Raises what
        the engine raises, halts included.
        """
        given: Row = dict(inputs)
        row = await self._context.evaluator.ask(
            self._program(task, tuple(inputs), output), given, sample=sample, temperature=temperature
        )
        text = None if row is None else row.get(output)
        return text if isinstance(text, str) else None

    def _program(self, task: str, inputs: tuple[str, ...], output: str) -> Program:
        fields = tuple(FieldSpec(name=name, type=STR) for name in inputs)
        wanted = FieldSpec(name=output, type=STR)
        writes = Predictor(
            strategy="Predict",
            signature=Signature(name="Propose", instruction=task, inputs=fields, outputs=(wanted,)),
            lm=self._model.name,
        )
        step = CallStep(
            name="written", predictor="propose", arguments={name: Variable(name=name) for name in inputs}
        )
        return Program(
            name="propose",
            inputs=fields,
            outputs=(wanted,),
            steps=(step,),
            returns={output: Member(target=Variable(name="written"), name=output)},
            predictors={"propose": writes},
            lms=self._model.lms,
        )


def _own_model(student: Program) -> PromptModel:
    for predictor in student.predictors.values():
        return PromptModel(predictor.lm, student.lms)
    raise OptimizerError(f"`{student.name}` calls no model, so there is no instruction to write")
