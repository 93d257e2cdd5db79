"""Refine: several attempts, each after advice on what the one before lacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from ...errors import AnswerError
from ...schema.program import FieldSpec, ModuleSpec, Program, Signature, reached_from
from ...schema.types import ANY, FLOAT, STR, DictOf, JsonValue, ListOf, Row
from .attempts import OPTIONS, best, number, times
from .base import Conductor, ModuleParts, ModuleStrategy, Role, Scored, Times, faithful
from .predict import STRATEGY as PREDICT

ADVISE = "advise"
_NONE = frozenset({"", "none", "n/a", "-"})
"""Texts that stand for no advice."""


def _advise(parts: ModuleParts) -> Signature:
    return Signature(
        name=f"{parts.name}.{ADVISE}",
        instruction=(
            "An attempt was not good enough, and there will be another one, on the same or on similar inputs. Find out "
            "which of its predictors the shortcoming comes from. Write for each of those what it shall do differently "
            "next time: so concrete that it can be followed without knowing this attempt. Write nothing for those that "
            "did well."
        ),
        inputs=(
            FieldSpec(
                name="predictors", type=DictOf(key=STR, value=ANY), description="what each one is asked"
            ),
            FieldSpec(name="inputs", type=DictOf(key=STR, value=ANY), description="of the attempt"),
            FieldSpec(
                name="calls", type=ListOf(item=ANY), description="what it asked and was answered, in order"
            ),
            FieldSpec(name="outputs", type=DictOf(key=STR, value=ANY), description="what came of it"),
            FieldSpec(name="score", type=FLOAT, description="what the outputs are worth, 0 to 1"),
            FieldSpec(name="wanted", type=FLOAT, description="the score that would be good enough"),
            FieldSpec(name="feedback", type=STR, description="what was said of the outputs, if anything"),
        ),
        outputs=(
            FieldSpec(name="discussion", type=STR, description="where the attempt went wrong, and why"),
            FieldSpec(name="advice", type=DictOf(key=STR, value=STR), description="by the predictor's name"),
        ),
    )


async def _conduct(work: Conductor, inputs: Row) -> Row:
    known: Mapping[str, str] = {}

    async def missed(take: int, outputs: Row, found: Scored) -> Mapping[str, str]:
        nonlocal known
        asked = _asked(work, inputs, take, outputs, found)
        try:
            said = await work.ask(ADVISE, asked)
        except AnswerError as error:
            if faithful(work.module):
                raise
            work.note(f"no advice after attempt {take + 1}: {error.message}")
            return known
        known = _hints(work, cast("Mapping[str, str]", said["advice"]))
        return known

    return await best(work, inputs, missed)


def _asked(work: Conductor, inputs: Row, take: int, outputs: Row, found: Scored) -> Row:
    predictors = _tried(work)
    calls: list[JsonValue] = [
        {"predictor": entry.predictor, "inputs": entry.inputs, "outputs": entry.outputs}
        for entry in work.calls_of(take)
        if entry.predictor in predictors
    ]
    return {
        "predictors": predictors,
        "inputs": inputs,
        "calls": calls,
        "outputs": outputs,
        "score": found.score,
        "wanted": number(work.module, "threshold"),
        "feedback": found.feedback,
    }


def _tried(work: Conductor) -> dict[str, JsonValue]:
    """What each predictor that an attempt may ask is told, and its fields."""
    program: Program = work.program
    tried: dict[str, JsonValue] = {}
    for address in sorted(reached_from(program, work.module.runs or "")):
        asked = program.predictors.get(address)
        if asked is not None:
            signature = asked.signature
            tried[address] = {
                "task": "\n".join((signature.instruction, *signature.fixed)),
                "inputs": [field.name for field in signature.inputs],
                "outputs": [field.name for field in signature.outputs],
            }
    return tried


def _hints(work: Conductor, advice: Mapping[str, str]) -> dict[str, str]:
    """The advice for predictors that an attempt may ask, in their order, without texts that give none."""
    return {
        address: advice[address]
        for address in _tried(work)
        if advice.get(address, "").strip().rstrip(".").lower() not in _NONE
    }


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    return {**times(module), ADVISE: Times(0, int(number(module, "n")) - 1)}


def _faults(program: Program, module: ModuleSpec) -> Iterator[str]:
    outputs = program.predictors[module.predictors[ADVISE]].signature.outputs
    if not any(field.name == "advice" and field.type == DictOf(key=STR, value=STR) for field in outputs):
        yield f"`{ADVISE}` must give `advice` by the predictors' names"


STRATEGY = ModuleStrategy(
    name="Refine",
    doc="Several attempts, each after advice on the one before; the one with the best reward counts.",
    options=OPTIONS,
    conduct=_conduct,
    times=_times,
    faults=_faults,
    roles={ADVISE: Role(PREDICT.name, _advise)},
    tries=True,
    manner="answers again after advice on what was not good enough",
)
