"""What commands write with `--json`, as types: their JSON Schemas are made of these (`docs/generate_schema.py`).

Within a version names and kinds stay; later ones may add members.
"""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from .. import ir
from ..compile.bills import Bill
from ..compile.drift import DriftLine
from ..compile.plan import Estimate, EvalPlan, StepPlan
from ..compile.reports.compare import ChangedSetting
from ..compile.reports.contract import ContractChange
from ..compile.reports.facts import DemoFacts, TextChange
from ..evaluate.counts import Range
from ..evaluate.statistics import Paired
from ..evaluate.toolfailures import ToolFailure
from ..optimizers.base import Explored


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
    comparison: Paired | None
    failures: int
    unanswered: int
    metric_failures: int
    in_prompt: int
    tools: list[ToolFailure]
    calls: EvalCalls
    answers: AnswerFlaws
    gates: list[GateJson]
    passed: bool
    rows: list[EvalRowJson]


class EvalsJson(TypedDict):
    """`dspc eval --json`."""

    version: Literal[1]
    evals: list[EvalJson]


class NamedScore(ScoreJson):
    """The score of an artifact, with the metric that it is of."""

    metric: str


class FinalScore(ScoreJson):
    """Of the program in the artifact. `corrected` is the score without the luck of having been chosen by it: the score itself
    where there is no such luck, and of a compile that was cut short, where nobody knows it."""

    corrected: float


class VerdictJson(TypedDict):
    """What the comparison of a result with its start means."""

    real: bool
    sure: bool
    tried: int
    chance: float
    luck: float
    gained: float
    interval: list[float]
    decided: bool
    fresh: int


class OfferJson(TypedDict):
    """A program that no other beats in both score and cost; what it takes is for one answer, on the average."""

    step: str
    label: str
    score: float
    usd: float | None
    tokens: float
    calls: float


class ChosenJson(TypedDict):
    """What was minimized; `offer` is null where no program is certain to reach the gate."""

    minimize: ir.Minimized
    gate: float
    tried: int
    offer: OfferJson | None


class LeastMost(TypedDict):
    least: int
    most: int


class PlannedCalls(LeastMost):
    again: int


class CandidateJson(TypedDict):
    label: str
    score: float


class StepJson(TypedDict):
    """One optimizer step. `explored` and `stopped` are there where it tried several optimizers."""

    name: str
    optimizer: str
    planned: LeastMost
    calls: int
    cost_usd: float | None
    verdict: VerdictJson | None
    comparison: Paired | None
    notes: list[str]
    explored: NotRequired[list[Explored]]
    stopped: NotRequired[str]
    candidates: list[CandidateJson]


class CompileCalls(TypedDict):
    """`needed` counts calls as if nothing had been answered before; the others are where their answers came from. `replayed` are
    those that nobody paid again, of the ledger or of the same call in flight; `shared` is 0, and there for readers of before."""

    planned: PlannedCalls
    needed: int
    judge: int
    made: int
    replayed: int
    shared: int
    remembered: int
    besides: int
    spoiled: int
    refitted: int
    estimated: int


class PaidJson(TypedDict):
    """Tokens and their cost, which is null where some price is not known."""

    input_tokens: float
    output_tokens: float
    cost_usd: float | None


class SpentJson(PaidJson):
    """Calls with what they took."""

    calls: float


class TokensJson(TypedDict):
    input: int
    output: int


class CompiledJson(TypedDict):
    """One optimize block."""

    name: str
    artifact: str | None
    left: list[str]
    status: Literal["complete", "budget", "stopped"]
    scoring: ir.Scoring
    replaced: NamedScore | None
    better: NamedScore | None
    baseline: ScoreJson | None
    final: FinalScore | None
    comparison: Paired | None
    verdict: VerdictJson | None
    chosen: ChosenJson | None
    front: list[OfferJson]
    steps: list[StepJson]
    evals: list[EvalJson]
    calls: CompileCalls
    needed: PaidJson
    spoiled: PaidJson
    reserved: PaidJson
    unanswered: int
    tools: list[ToolFailure]
    answers: AnswerFlaws
    tokens: TokensJson
    cost_usd: float | None
    notes: list[str]


class CompilesJson(TypedDict):
    """`dspc compile --json`."""

    version: Literal[1]
    compiled: list[CompiledJson]


class TestError(TypedDict):
    message: str
    help: str | None


class ExpectationJson(TypedDict):
    """One `expect`. `held` is null where it could not be looked at; `values` are those of its parts."""

    text: str
    place: str
    held: bool | None
    values: dict[str, Any]
    error: str | None


class TestJson(TypedDict):
    """One test: what its calls would take without recorded answers, and what was asked and paid now."""

    file: str
    name: str
    place: str
    program: str
    status: Literal["passed", "failed", "unfinished"]
    error: TestError | None
    outputs: dict[str, Any] | None
    expectations: list[ExpectationJson]
    calls: int
    cost_usd: float | None
    asked_now: int
    paid_usd: float | None


class TestsJson(TypedDict):
    """`dspc test --json`."""

    version: Literal[1]
    tests: list[TestJson]


class ArtifactScore(NamedScore):
    corrected: NotRequired[float]


class ScoreChange(TypedDict):
    """`same_rows` says whether both scores are of the same rows."""

    role: str
    before: ArtifactScore | None
    after: ArtifactScore | None
    same_rows: bool


class RowLookJson(TypedDict):
    score: float
    outputs: dict[str, Any] | None
    reason: str


class FlippedRow(TypedDict):
    """A row whose score differs; `row` counts from 1, `id` is the same in both artifacts."""

    row: int
    id: str
    inputs: dict[str, Any]
    gold: dict[str, Any]
    before: RowLookJson | None
    after: RowLookJson | None


class PerRun(TypedDict):
    before: SpentJson
    after: SpentJson


class ComparedTable(TypedDict):
    """Both artifacts on the rows of one dataset, as far as their answers are kept."""

    title: str
    data: str
    metric: str
    rows: int
    compared: int
    comparison: Paired | None
    per_run: PerRun
    flipped: list[FlippedRow]


class PromptChange(TypedDict):
    predictor: str
    texts: list[TextChange]
    demos: list[DemoFacts]


class DiffJson(TypedDict):
    """`dspc diff --json`."""

    version: Literal[1]
    before: str
    after: str
    breaking: bool
    contract: list[ContractChange]
    scores: list[ScoreChange]
    rows: list[ComparedTable]
    settings: list[ChangedSetting]
    prompts: list[PromptChange]
    compile: PerRun
    missing: list[str]


class VerifyCheck(TypedDict):
    """One thing that the artifact was made from, then and now."""

    what: str
    name: str
    state: Literal["same", "differs", "absent", "unknown"]
    then: str | None
    now: str | None
    note: str


class VerifyJson(TypedDict):
    """`dspc verify --json`."""

    version: Literal[1]
    artifact: str
    same: bool
    checks: list[VerifyCheck]


class DriftJson(TypedDict):
    """`dspc watch-drift --json`."""

    version: Literal[1]
    program: str
    rows: int
    calls: int
    scored: int
    alpha: float
    effect: float
    notes: list[str]
    drifted: bool
    tests: list[DriftLine]


class AdviceBudget(TypedDict):
    calls: int | None
    usd: float | None


class AdviceSituation(TypedDict):
    """What the advice goes by: rows, the program, the metric, the budget."""

    train: int
    val: int
    labelled: int
    predictors: int
    calls_per_run: int
    graded: bool
    feedback: bool
    prompt_only: bool
    budget: AdviceBudget


class SuggestionJson(TypedDict):
    """Steps to write. `over` says where a budget ends them that does not fit."""

    steps: list[str]
    why: str
    calls: LeastMost
    usd: float | None
    fits: bool
    over: list[str]
    needs: list[str]


class AdviceJson(TypedDict):
    """`dspc advise --json`."""

    version: Literal[1]
    optimize: str
    situation: AdviceSituation
    suggestions: list[SuggestionJson]
    notes: list[str]


class BatchJson(TypedDict):
    """`dspc batch --json`: what came of the rows, and what this run of the command took."""

    answered: int
    failed: int
    rows: int
    calls: int
    replayed: int
    input_tokens: int
    output_tokens: int
    usd: float | None


class AdoptRemark(TypedDict):
    """Something to look at; `lost` where it is not in what was written."""

    file: str
    line: int
    text: str
    lost: bool


class AdoptJson(TypedDict):
    """`dspc adopt --json`."""

    source: str
    written: list[str]
    declared: dict[str, int]
    remarks: list[AdoptRemark]
    errors: list[str]
    whole: bool


SCHEMAS: dict[str, tuple[str, type]] = {
    "plan": ("what `dspc plan --json` writes", PlanJson),
    "compile": ("what `dspc compile --json` writes, version 1", CompilesJson),
    "evals": ("what `dspc eval --json` writes, version 1", EvalsJson),
    "tests": ("what `dspc test --json` writes, version 1", TestsJson),
    "diff": ("what `dspc diff --json` writes, version 1", DiffJson),
    "verify": ("what `dspc verify --json` writes, version 1", VerifyJson),
    "drift": ("what `dspc watch-drift --json` writes, version 1", DriftJson),
    "advice": ("what `dspc advise --json` writes, version 1", AdviceJson),
    "batch": ("what `dspc batch --json` writes", BatchJson),
    "adopt": ("what `dspc adopt --json` writes", AdoptJson),
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
