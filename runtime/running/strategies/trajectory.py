"""The steps of an agent until now, as later steps see them: the oldest are left out until the model takes the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import PromptTooLong
from ...schema.program import FieldSpec, Predictor, Signature
from ...schema.types import ANY, STR, DictOf, JsonValue, ListOf, OptionalOf, Row
from ...values.media import is_history
from .base import Conductor, ModuleParts, faithful, free_name

if TYPE_CHECKING:
    from ..session import NativeCalls

_DSPY_TRIES = 3
"""Under `compat`: how often one call is tried with a prompt that is too long."""
_BULKY = ("observation", "output", "result")
"""Parts of a turn that may be too long by themselves."""


def trajectory(name: str) -> FieldSpec:
    return FieldSpec(
        name=name,
        type=ListOf(item=ANY),
        description="the steps until now, oldest first",
        has_default=True,
        default=[],
    )


def inputs_of_step(signature: Signature) -> tuple[FieldSpec, ...]:
    """A signature's inputs, for a call that answers with something else than its outputs: earlier turns have those, so here
    they are a value to be read, and no turns."""
    return tuple(_as_value(field) if is_history(field.type) else field for field in signature.inputs)


_TURNS = ListOf(item=DictOf(key=STR, value=ANY))


def _as_value(field: FieldSpec) -> FieldSpec:
    kind = OptionalOf(item=_TURNS) if isinstance(field.type, OptionalOf) else _TURNS
    said = field.description or "earlier turns, each with what was given and what was answered"
    return field.model_copy(update={"type": kind, "description": said})


def extracting(parts: ModuleParts) -> Signature:
    """Of the call that answers from the steps."""
    signature = parts.signature
    taken = {field.name for field in (*signature.inputs, *signature.outputs)}
    return signature.model_copy(
        update={
            "name": f"{parts.name}.extract",
            "inputs": (*signature.inputs, trajectory(free_name("trajectory", taken))),
        }
    )


async def asked_with(
    work: Conductor,
    role: str,
    inputs: Row,
    name: str,
    turns: list[JsonValue],
    *,
    predictor: Predictor | None = None,
    calling: NativeCalls | None = None,
    together: bool = False,
) -> Row:
    """The role's answer to the inputs and the turns, which are its input of that name."""
    as_dspy = faithful(work.module)
    refused = 0
    while True:
        row: Row = {**inputs, name: list(turns)}
        if not as_dspy and not work.fits(role, row, predictor=predictor) and _cut(work, turns):
            continue
        try:
            return await work.ask(role, row, predictor=predictor, calling=calling, together=together)
        except PromptTooLong:
            refused += 1
            if as_dspy and len(turns) <= 1:
                raise
            if not _cut(work, turns) or (as_dspy and refused == _DSPY_TRIES):
                raise


def _cut(work: Conductor, turns: list[JsonValue]) -> bool:
    """Takes away the oldest turn or, of the only one, what it gave. False when there is nothing left to take."""
    if len(turns) > 1:
        del turns[0]
        work.note("left out the oldest step of the trajectory: the prompt was too long")
        return True
    last = turns[0] if turns else None
    if not isinstance(last, dict) or not any(part in last for part in _BULKY):
        return False
    kept = {part: value for part, value in last.items() if part not in _BULKY}
    what = "the tool" if "observation" in last else "the code"
    turns[0] = {**kept, "error": f"what {what} gave is too long to be shown"}
    work.note(f"left out what {'a tool' if 'observation' in last else 'code'} gave: the prompt was too long")
    return True
