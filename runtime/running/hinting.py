"""Gives predictors advice for a further attempt, as one more input."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ..schema.program import FieldSpec, Predictor, Program
from ..schema.trace import TraceStep
from ..schema.types import STR
from .strategies.base import HINT, free_name


def hinted(program: Program, hints: Mapping[str, str]) -> Program:
    """The program with one more input for some predictors: the advice that `hints` has under their addresses."""
    predictors = dict(program.predictors)
    for address, text in hints.items():
        asked = predictors[address]
        signature = asked.signature
        hint = FieldSpec(
            name=_hint_name(asked),
            type=STR,
            description="advice, after an earlier attempt that was not good enough",
            has_default=True,
            default=text,
        )
        signature = signature.model_copy(update={"inputs": (*signature.inputs, hint)})
        predictors[address] = asked.model_copy(update={"signature": signature})
    return program.model_copy(update={"predictors": predictors})


def _hint_name(predictor: Predictor) -> str:
    signature = predictor.signature
    return free_name(HINT, {field.name for field in (*signature.inputs, *signature.outputs)})


def unhinted(program: Program, entry: TraceStep, hints: Mapping[str, str]) -> TraceStep:
    """The entry with the inputs that its predictor has without advice, so that it may become a demo."""
    if entry.predictor not in hints:
        return entry
    name = _hint_name(program.predictors[entry.predictor])
    inputs = {key: one for key, one in entry.inputs.items() if key != name}
    return replace(entry, inputs=inputs, hint=hints[entry.predictor])
