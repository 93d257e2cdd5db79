"""What a caller is told of what went wrong: a status, and an object that says what, and of inputs where.

What concerns the caller's own request is told as it is. What concerns the server, its keys and its providers is for its log: a
caller is told that it failed, and whether to try again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from msgspec import Struct

from dspec.runtime.errors import (
    AnswerError,
    DspecError,
    InputError,
    ProviderError,
    RateLimited,
    Refused,
    TimedOut,
)
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import JsonValue, spell
from dspec.runtime.values.media import is_history, medium_kind
from dspec.runtime.values.rows import given

_INSIDE = re.compile(r"((?:\[\d+\]|\.?\w+)+): ")
"""How a message about a value begins that is inside another."""


class WebProblem(Struct, frozen=True):
    """`kind` is one of few words, for programs; `after` is how many seconds later it may be tried again."""

    status: int
    kind: str
    message: str
    details: tuple[Mapping[str, JsonValue], ...] = ()
    after: int | None = None

    def told(self) -> dict[str, JsonValue]:
        error: dict[str, JsonValue] = {"kind": self.kind, "message": self.message}
        if self.details:
            error["details"] = [dict(one) for one in self.details]
        return {"error": error}


def problem_of(error: DspecError) -> WebProblem:
    """What a run that failed is told as."""
    match error:
        case InputError():
            return WebProblem(422, "inputs", error.message)
        case AnswerError():
            return WebProblem(502, "answer", f"the model's answer cannot be used: {error.message}")
        case TimedOut():
            return WebProblem(504, "late", "there was no answer in time")
        case RateLimited():
            after = 10 if error.retry_after is None else math.ceil(min(error.retry_after, 3600))
            return WebProblem(503, "limited", "the model takes no more requests for now", after=max(1, after))
        case Refused():
            return WebProblem(502, "refused", "the model refuses this request")
        case ProviderError():
            return WebProblem(502, "model", "the model does not answer")
        case _:
            return WebProblem(500, "server", "the server cannot run this program: its log says why")


def unfit_inputs(program: Runnable, inputs: Mapping[str, JsonValue]) -> WebProblem | None:
    """What of the inputs does not fit, all of it; None where they may be run."""
    known = {field.name for field in program.inputs}
    details: list[Mapping[str, JsonValue]] = [
        {"where": name[:200], "message": "there is no such input"} for name in inputs if name not in known
    ]
    details += [
        _placed(field.name, why)
        for field in program.inputs
        if (why := _unfit(field, inputs, program)) is not None
    ]
    if not details:
        return None
    takes = ", ".join(f"{field.name}: {spell(field.type)}" for field in program.inputs)
    return WebProblem(
        422, "inputs", f"the inputs do not fit; {program.name} takes {takes}", tuple(details[:50])
    )


def _placed(name: str, why: str) -> dict[str, JsonValue]:
    """What is wrong with a field, the place inside of it by the place."""
    inside = _INSIDE.match(why)
    if inside is None:
        return {"where": name, "message": why}
    path = inside[1]
    return {"where": f"{name}{path if path[0] == '[' else f'.{path}'}", "message": why[inside.end() :]}


def _unfit(field: FieldSpec, inputs: Mapping[str, JsonValue], program: Runnable) -> str | None:
    if field.name in inputs and (medium_kind(field.type) is not None or is_history(field.type)):
        return None  # what these are is seen when they are brought
    try:
        given(field, inputs, program.records)
    except LookupError:
        return "it is missing"
    except ValueError as error:
        return str(error)
    return None
