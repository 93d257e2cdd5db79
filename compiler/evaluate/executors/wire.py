"""What crosses between a driver and its workers, as plain JSON: requests, answers, runs, tools, errors.

Nothing that crosses is code. What comes in is read into the types that went out, so that a value is the same on both sides:
the ledger's key of a request, the digest of a program, the bytes of a result. Texts of what many messages have in common,
such as a model, are read once and give the same object again, for the caches that go by identity.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from msgspec import convert, to_builtins
from pydantic import TypeAdapter

from dspec.runtime import errors
from dspec.runtime.errors import DspecError
from dspec.runtime.models.calls import Completion
from dspec.runtime.models.compact import compact
from dspec.runtime.models.endpoints import Endpoint
from dspec.runtime.models.protocol import Answer, Attached, Message, Request, ToolAnswer, ToolShape
from dspec.runtime.schema.identity import Same
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import Record, Tool
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Flaws, Spent, Usage
from dspec.runtime.tools.base import TookTooLong, ToolProblem, Undeclared

WIRE = 3
"""Goes up with every change of what crosses: both ends must have the same."""

_TOOL = TypeAdapter(Tool)
_LMS = TypeAdapter(dict[str, LM])
_RECORDS = TypeAdapter(dict[str, Record])
_ENDPOINT = TypeAdapter(Endpoint)


def model_text(value: LM | Tool) -> str:
    return _model_text(Same(value))


@lru_cache(maxsize=512)
def _model_text(value: Same[LM] | Same[Tool]) -> str:
    return compact(value.value.model_dump(mode="json")).decode()


@lru_cache(maxsize=512)
def lm_of(text: str) -> LM:
    return LM.model_validate(json.loads(text))


@lru_cache(maxsize=512)
def tool_of(text: str) -> Tool:
    return _TOOL.validate_python(json.loads(text))


def table_text(values: Mapping[str, LM] | Mapping[str, Record]) -> str:
    """What a tool is given of its program's models or records."""
    return _table_text(Same(values))


@lru_cache(maxsize=256)
def _table_text(values: Same[Mapping[str, LM]] | Same[Mapping[str, Record]]) -> str:
    return compact({name: one.model_dump(mode="json") for name, one in values.value.items()}).decode()


@lru_cache(maxsize=256)
def lms_of(text: str) -> dict[str, LM]:
    return _LMS.validate_python(json.loads(text))


@lru_cache(maxsize=256)
def records_of(text: str) -> dict[str, Record]:
    return _RECORDS.validate_python(json.loads(text))


def request_out(request: Request) -> list[Any]:
    """A request that nobody hears while it is answered."""
    return [
        model_text(request.lm),
        [
            [one.role, one.content, to_builtins(one.attached)] if one.attached else [one.role, one.content]
            for one in request.messages
        ],
        request.sample,
        request.temperature,
        request.response_format,
        request.form,
        request.kind,
        to_builtins(request.tools),
        request.reasoning,
    ]


def request_in(told: list[Any]) -> Request:
    lm, messages, sample, temperature, response_format, form, kind, tools, reasoning = told
    return Request(
        lm_of(lm),
        tuple(
            Message(one[0], one[1], convert(one[2], tuple[Attached, ...]) if len(one) > 2 else ())
            for one in messages
        ),
        sample,
        temperature,
        response_format,
        form,
        kind,
        convert(tools, tuple[ToolShape, ...]) if tools else (),
        reasoning,
    )


def answer_out(answer: Answer) -> Any:
    return to_builtins(answer)


def answer_in(told: Any) -> Answer:
    return convert(told, Answer)


def completion_out(completion: Completion) -> Any:
    return to_builtins(completion)


def completion_in(told: Any) -> Completion:
    return convert(told, Completion)


def tool_answer_out(given: ToolAnswer) -> Any:
    return [given.value, given.error, given.late, given.undeclared, given.notes]


def tool_answer_in(told: list[Any]) -> ToolAnswer:
    value, error, late, undeclared, notes = told
    return ToolAnswer(value, error, late, undeclared, tuple(notes))


_PROBLEMS: dict[str, type[ToolProblem]] = {
    kind.__name__: kind for kind in (ToolProblem, TookTooLong, Undeclared)
}


def problem_out(problem: ToolProblem) -> list[str]:
    return [type(problem).__name__, problem.message, problem.note]


def problem_in(told: list[str]) -> ToolProblem:
    """Why a try of a tool failed, as it was raised."""
    kind, message, note = told
    found = _PROBLEMS[kind]
    problem = found.__new__(found)
    ToolProblem.__init__(problem, message, note=note)
    return problem


def endpoint_out(endpoint: Endpoint) -> Any:
    """An endpoint with its key: the worker that asks it need have nothing in its environment."""
    return _ENDPOINT.dump_python(endpoint, mode="json")


def endpoint_in(told: Any) -> Endpoint:
    return _ENDPOINT.validate_python(told)


_KINDS: dict[str, type[DspecError]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, DspecError)
}
_PLAIN = ("raw", "billable", "retryable", "retry_after", "parameter", "unexplained", "row")
_COUNTED: dict[str, Any] = {"usage": Usage, "spent": Spent, "flaws": Flaws}


class WorkerFault(Exception):
    """Something failed at the other end that nobody foresaw; the text has its traceback."""


def error_out(error: BaseException) -> JsonValue:
    if not isinstance(error, DspecError):
        return "".join(traceback.format_exception(error))[-8000:]
    kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS)
    kept = vars(error)
    more = {name: kept[name] for name in _PLAIN if name in kept}
    more |= {name: to_builtins(kept[name]) for name in _COUNTED if kept.get(name) is not None}
    return [kind, error.message, error.help, more]


def error_in(told: JsonValue) -> Exception:
    """The error as it was raised; a WorkerFault where it is none of ours."""
    if isinstance(told, str):
        return WorkerFault(told)
    kind, message, help_text, more = cast("tuple[str, str, str, dict[str, Any]]", told)
    found = _KINDS[kind]
    error = found.__new__(found)
    DspecError.__init__(error, message, help=help_text)
    for name, value in more.items():
        setattr(error, name, convert(value, _COUNTED[name]) if name in _COUNTED else value)
    return error
