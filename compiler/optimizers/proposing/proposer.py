"""Asking the model that writes: one question, one text, through the engine like every other call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspec.runtime.running.strategies import predict
from dspec.runtime.schema.expressions import Member, Variable
from dspec.runtime.schema.program import CallStep, FieldSpec, Predictor, Program, Signature
from dspec.runtime.schema.types import STR, Row
from dspec.runtime.values.scripts import mostly_latin

from ..base import OptimizerError, PromptModel
from .templates import fill

if TYPE_CHECKING:
    from ..base import Context


class Proposer:
    """The prompt model of one step: the block's `prompt_lm`, else that of the student's first predictor."""

    def __init__(self, context: Context, student: Program) -> None:
        self._context = context
        self._model = context.prompt_model or _own_model(student)
        own = None if context.prompt_model is None else self._model.lms[self._model.name].temperature
        self.temperature = 1.0 if own is None else own
        """The temperature for a step that has no option for it: that of the block's `prompt_lm`, or 1.0. The task's
        model is often set to 0, at which it would write the same thing every time."""

    async def ask(
        self,
        task: str,
        inputs: dict[str, str],
        output: str,
        *,
        sample: int = 0,
        temperature: float | None = None,
    ) -> str | None:
        """The model's text for `output`; None when its answer cannot be read.

        `task` says what to write; `sample` tells questions apart that are otherwise the same. Raises what
        the engine raises, halts included.
        """
        texts = await self.ask_several(task, inputs, {output: ""}, sample=sample, temperature=temperature)
        return None if texts is None else texts.get(output)

    async def ask_several(
        self,
        task: str,
        inputs: dict[str, str],
        outputs: dict[str, str],
        *,
        sample: int = 0,
        temperature: float | None = None,
    ) -> dict[str, str] | None:
        """Like `ask`, for several texts of one answer; `outputs` maps their names to what they are."""
        given: Row = dict(inputs)
        if not all(map(mostly_latin, inputs.values())):
            task = f"{task}\n\n{fill('language')}"
        row = await self._context.evaluator.ask(
            self._program(task, tuple(inputs), outputs), given, sample=sample, temperature=temperature
        )
        return None if row is None else {name: text for name, text in row.items() if isinstance(text, str)}

    def _program(self, task: str, inputs: tuple[str, ...], outputs: dict[str, str]) -> Program:
        fields = tuple(FieldSpec(name=name, type=STR) for name in inputs)
        wanted = tuple(FieldSpec(name=name, type=STR, description=note) for name, note in outputs.items())
        writes = Predictor(
            strategy=predict.STRATEGY.name,
            signature=Signature(name="Propose", instruction=task, inputs=fields, outputs=wanted),
            lm=self._model.name,
        )
        step = CallStep(
            name="written", predictor="propose", arguments={name: Variable(name=name) for name in inputs}
        )
        return Program(
            name="propose",
            inputs=fields,
            outputs=wanted,
            steps=(step,),
            returns={name: Member(target=Variable(name="written"), name=name) for name in outputs},
            predictors={"propose": writes},
            lms=self._model.lms,
        )


def _own_model(student: Program) -> PromptModel:
    for predictor in student.predictors.values():
        return PromptModel(predictor.lm, student.lms)
    raise OptimizerError(f"`{student.name}` calls no model, so there is no instruction to write")
