"""What makes two programs the same program.

A module of its own because optimizers ask for it, and whoever reads the table of optimizers (a check,
the editor) must not wait for the engine and the store behind it.
"""

from __future__ import annotations

from functools import lru_cache

from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.identity import Same
from dspec.runtime.schema.lms import SENT
from dspec.runtime.schema.program import Neighbour, Program, digest, reached
from dspec.runtime.schema.types import JsonValue

from .. import ir

ANSWERS = {
    *("model", "temperature", "max_tokens", "seed", "fallback", "parse", "adapter", "extract", "tool_calls"),
    *(*SENT, "reasoning", "on_unreadable", "api_version", "headers", "headers_env", "extra"),
}
"""What of a judge's settings changes its answers; where it is served is no part of what it is."""

LM_PACE = {"timeout", "retry", "retry_said", "rpm", "tpm", "max_parallel", "hedge", "mode"}
"""What of a model's settings says how it is asked, and changes no answer."""

TOOL_PACE = {"max_parallel"}
"""What of a tool's settings changes no answer. Its time and tries do: what it fails with is told to the agent."""


def program_digest(program: Runnable) -> str:
    """Hash of what of a program determines its answers, the models aside.

    The program's own name, predictors that no step calls, and the order of declarations are not part
    of it: they reach no prompt and no output.
    """
    if isinstance(program, Ensemble):
        own: dict[str, JsonValue] = program.model_dump(mode="json", include={"outputs", "size", "seed"})
        reducer = program.reducer
        own["reduce"] = program.reduce.model_dump(mode="json") if reducer is None else program_digest(reducer)
        return digest({**own, "members": [program_digest(member) for member in program.members]})
    return _digest(Same(program))


def asked_digest(program: Program) -> str:
    """Hash of what makes two programs of one compile the same: all that `program_digest` says, and the name of the model that
    each predictor asks."""
    return _asked_digest(Same(program))


@lru_cache(maxsize=256)
def _asked_digest(of: Same[Program]) -> str:
    called = reached(of.value)
    asked: dict[str, JsonValue] = {
        name: one.lm for name, one in of.value.predictors.items() if name in called
    }
    return digest([program_digest(of.value), asked])


@lru_cache(maxsize=256)
def _digest(of: Same[Program]) -> str:
    program = of.value
    called = reached(program)
    plain: dict[str, JsonValue] = program.model_dump(
        mode="json",
        exclude={
            "name": True,
            "lms": True,
            "predictors": {"__all__": {"lm"}},
            "neighbours": {"rows"},
            "tools": {"__all__": TOOL_PACE},
        },
    )
    predictors = plain["predictors"]
    assert isinstance(predictors, dict)
    plain["predictors"] = {name: predictors[name] for name in predictors if name in called}
    if program.neighbours is None:
        del plain["neighbours"]
    else:
        plain["rows"] = _rows_digest(Same(program.neighbours.rows))
        plain["hidden"] = program.neighbours.hidden
    return digest(plain)


@lru_cache(maxsize=8)
def _rows_digest(of: Same[tuple[Neighbour, ...]]) -> str:
    return digest([row.model_dump(mode="json") for row in of.value])


def metric_digest(metric: ir.Metric) -> str:
    """Hash of how a metric scores: its expressions, and of its judges the words and the models."""
    plain: dict[str, JsonValue] = metric.model_dump(
        mode="json", include={"score", "accept", "feedback", "feedbacks", "aggregates"}
    )
    if metric.lets:
        plain["lets"] = [let.model_dump(mode="json") for let in metric.lets]
    if metric.judges:
        plain["judges"] = [_judge(judge) for judge in metric.judges]
    return digest(plain)


def _judge(judge: ir.Judge) -> JsonValue:
    return {
        **judge.model_dump(mode="json", include={"name", "inputs", "gives"}),
        "program": program_digest(judge.program),
        "models": {
            name: lm.model_dump(mode="json", include=ANSWERS) for name, lm in judge.program.lms.items()
        },
        "asked": {name: one.lm for name, one in judge.program.predictors.items()},
    }
