"""What an application says of a call afterwards, looked at: whether it fits what the program gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from ..errors import InputError
from ..schema.ensemble import Runnable
from ..schema.types import Row
from ..values.values import coerce
from .bringing import Given, brought
from .prediction import TypedPrediction, id_of
from .records import CallRecord

_ID = re.compile(r"[0-9a-f]{32}")


class Feedback(Struct, frozen=True):
    """What somebody says of the call with this id."""

    call: str
    score: float | None
    comment: str | None
    outputs: Row | None
    """Those that would have been right, in the types of the program's."""


def feedback_of(
    program: Runnable,
    call: object,
    score: object,
    comment: object,
    label: Given,
    outputs: Mapping[str, Given] | None,
) -> Feedback:
    """Raises InputError."""
    if label is not None:
        if outputs is not None or len(program.outputs) != 1:
            names = ", ".join(spec.name for spec in program.outputs)
            raise InputError(
                "`label` is the one output of a program that has only one"
                if outputs is None
                else "`label` and `outputs` are two ways to say what would have been right",
                help=f"the outputs are {names}: outputs={{…}}",
            )
        outputs = {program.outputs[0].name: label}
    if score is None and comment is None and outputs is None:
        raise InputError("a feedback says something: a score, a comment, a label or outputs")
    if comment is not None and not isinstance(comment, str):
        raise InputError(f"the comment is of type {type(comment).__name__}, and should be a text")
    return Feedback(
        _id_of(call), _score_of(score), comment, None if outputs is None else _right(program, outputs)
    )


def _id_of(call: object) -> str:
    if isinstance(call, TypedPrediction):
        call = id_of(call)
    elif isinstance(call, CallRecord):
        call = call.id
    if not isinstance(call, str) or _ID.fullmatch(call) is None:
        raise InputError(
            f"{call!r:.80} is no id of a call",
            help="a result has it (`result.call_id`), and so has `history()`",
        )
    return call


def _score_of(score: object) -> float | None:
    if score is None:
        return None
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"the score is {score!r:.80}, and should be a number from 0 to 1, True or False")
    return float(score)


def _right(program: Runnable, outputs: object) -> Row:
    kinds = {spec.name: spec.type for spec in program.outputs}
    if not isinstance(outputs, Mapping):
        raise InputError(
            f"`outputs` is of type {type(outputs).__name__}, and should be a mapping by outputs' names"
        )
    given = cast("Mapping[str, Given]", outputs)
    for name in given:
        if name not in kinds:
            raise InputError(
                f"{name!r:.80} is no output of the program", help=f"there are {', '.join(kinds)}"
            )
    row: Row = {}
    for name, value in brought((), given)[0].items():
        try:
            row[name] = coerce(value, kinds[name], program.records)
        except ValueError as error:
            raise InputError(f"the output `{name}` does not fit: {error}") from None
    return row
