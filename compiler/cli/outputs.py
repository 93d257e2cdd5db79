"""What commands write with `--json`, as types: their JSON Schemas are made of these (`docs/generate_schema.py`).

Within a version names and kinds stay; later ones may add members.
"""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from .. import ir
from ..compile.estimate import Bill
from ..compile.plan import Estimate, EvalPlan, StepPlan
from ..evaluate.counts import Range


class ExpectedBill(TypedDict):
    """What a compile is expected to take, `seen`: as the last one taught."""

    calls: int
    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    seen: bool


class FreeParts(TypedDict):
    """What is known already: rows of the baseline, whole steps, and their calls."""

    rows: int
    steps: list[str]
    calls: int


class PlanSeconds(TypedDict):
    """How long it takes, and a call; `batched` are models whose answers come in batches."""

    least: float
    most: float
    per_call: list[float]
    measured: bool
    batched: NotRequired[list[str]]


class PlanJson(TypedDict):
    """`dspc plan --json`. A range of calls is `[least, most]`."""

    optimize: str
    scoring: ir.Scoring
    baseline: Range
    steps: list[StepPlan]
    final: Range
    least: int
    most: int
    estimate: Estimate
    maximum: Bill
    failing: Bill
    again: int
    evals: list[EvalPlan]
    notes: list[str]
    judge: Range
    further: int
    inputs: dict[str, str]
    expected: ExpectedBill
    free: FreeParts
    seconds: PlanSeconds
    before: NotRequired[list[PlanJson]]
    in_all: NotRequired[list[int]]


class ScoreJson(TypedDict):
    """A score in 0..1 with its 95 % interval over `n` rows."""

    score: float
    low: float
    high: float
    n: int
    aggregates: NotRequired[list[str]]


class PairedJson(TypedDict):
    """The program against the baseline, row by row."""

    difference: float
    low: float
    high: float
    better: int
    worse: int
    same: int
    p_value: float


class EvalCalls(TypedDict):
    needed: int
    judge: int


class AnswerFlaws(TypedDict):
    """Answers that were cut off, mended, or not to be read."""

    cut: int
    repaired: int
    unreadable: int


class GateJson(TypedDict):
    text: str
    held: bool


class EvalRowJson(TypedDict):
    index: int
    score: float
    outputs: dict[str, Any] | None
    reason: str | None
    unanswered: bool
    metric_failed: bool


class EvalJson(ScoreJson):
    """One eval block."""

    name: str
    baseline: ScoreJson | None
    comparison: PairedJson | None
    failures: int
    unanswered: int
    metric_failures: int
    in_prompt: int
    calls: EvalCalls
    answers: AnswerFlaws
    gates: list[GateJson]
    passed: bool
    rows: list[EvalRowJson]


class EvalsJson(TypedDict):
    """`dspc eval --json`."""

    version: Literal[1]
    evals: list[EvalJson]


SCHEMAS: dict[str, tuple[str, type]] = {
    "plan": ("what `dspc plan --json` writes", PlanJson),
    "evals": ("what `dspc eval --json` writes, version 1", EvalsJson),
}
"""By the name of the file in `docs/schemas`."""


def schema_text(name: str) -> str:
    """The JSON Schema of an output, with a line break at its end."""
    title, kind = SCHEMAS[name]
    found: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **msgspec.json.schema(kind),
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
