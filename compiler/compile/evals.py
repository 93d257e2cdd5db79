"""`eval` blocks: a program against its baseline on held-out rows, and the gates that must hold.

Both programs run on the same rows, so they are compared row by row. A gate that cannot be computed is
a mistake in the gate and raises; it never counts as held or as failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from dspec.runtime.artifact.artifact import Score
from dspec.runtime.errors import BudgetExceeded, DspecError, EvaluationError, InputError, Stopped
from dspec.runtime.models.engine import Engine
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.interpret import evaluate
from dspec.runtime.values.values import short

from .. import ir
from ..diagnostics.wording import plural
from ..evaluate.budget import Wall, wall_of
from ..evaluate.evaluation import Evaluation, Evaluator
from ..evaluate.events import Report, silent
from ..evaluate.meter import Account, Execute, metered
from ..evaluate.shares import overall, shares_of
from ..evaluate.statistics import Paired, interval, paired
from ..evaluate.store import Store
from ..evaluate.tasks import Halt
from ..evaluate.toolfailures import ToolFailure
from ..optimizers.demos import shown_rows
from .prepared import Prepared, check_turns


class GateError(DspecError):
    """A gate gave something other than true or false."""


class GateResult(Struct, frozen=True):
    """`text` is the gate as written."""

    text: str
    held: bool


class EvalResult(Struct, frozen=True):
    """Scores with their intervals; `comparison` is the program against the baseline, row by row."""

    name: str
    program: Evaluation
    score: Score
    baseline: Evaluation | None
    baseline_score: Score | None
    comparison: Paired | None
    gates: tuple[GateResult, ...]
    spent: Account
    shown: int = 0
    """Rows that stand in a prompt of the program."""
    tools: tuple[ToolFailure, ...] = ()
    """Tools that failed in runs of the program or its baseline."""
    ended_by_tools: int = 0
    """Runs that a failed tool ended."""

    @property
    def passed(self) -> bool:
        return all(gate.held for gate in self.gates)


def scored(metric: str, evaluation: Evaluation) -> Score:
    """An evaluation as artifacts carry it: its number with its 95 % interval, to six decimals."""
    return score_of(metric, evaluation.scores)


def score_of(metric: str, scores: Sequence[float]) -> Score:
    """Rows' scores as artifacts carry them (`scored`)."""
    shares = shares_of(scores)
    low, high = interval(scores)
    return Score(
        metric=metric,
        score=round(overall(scores), 6),
        low=round(low, 6),
        high=round(high, 6),
        n=len(scores),
        aggregates=tuple(
            dict.fromkeys(one.function for share in shares[:1] for one in share.metric.aggregates)
        ),
    )


async def evaluate_named(
    prepared: Prepared,
    name: str,
    *,
    engine: Engine,
    store: Store,
    compiled: Mapping[str, Runnable] | None = None,
    wall: Wall | None = None,
    report: Report = silent,
    known: list[str] | None = None,
    execute: Execute = metered,
) -> EvalResult:
    """Run the `eval` block `name`. `compiled` holds the programs of the optimize blocks it names.

    `wall` pays for it (`Walls`). What is known of its programs is added to `known` as soon as it is, in words.

    Raises InputError when one of those is not there, DataError for rows that cannot be used,
    GateError for a gate that is neither true nor false, and what an evaluation raises.
    """
    project = prepared.project
    block = project.evals[name]
    rows = prepared.rows(block.data)
    metric = project.metrics[block.metric]
    evaluator = Evaluator(
        engine,
        store,
        metric,
        width=engine.at_once(project.lms.values()),
        wall=wall,
        on_error=block.when_unanswered,
        report=report,
        execute=execute,
    )
    programs = compiled or {}
    dataset = project.datasets[block.data.dataset]
    subject = _program(prepared, programs, block.program)
    check_turns(dataset, rows, subject)
    after = await evaluator.evaluate(subject, rows, label=f"eval {name}, {block.program}")
    if known is not None:
        known.append(f"`{block.program}` scored {100 * after.score:.1f} on {plural(len(rows), 'row')}")
    before: Evaluation | None = None
    if block.baseline is not None:
        other = _program(prepared, programs, block.baseline)
        check_turns(dataset, rows, other)
        before = await evaluator.evaluate(other, rows, label=f"eval {name}, {block.baseline}")
    return EvalResult(
        name=name,
        program=after,
        score=scored(metric.name, after),
        baseline=before,
        baseline_score=None if before is None else scored(metric.name, before),
        comparison=paired(before.scores, after.scores) if before is not None and rows else None,
        gates=tuple(_gate(gate, after, before) for gate in block.gates),
        spent=evaluator.spent,
        shown=shown_rows(subject, rows),
        tools=evaluator.tools.found(project.places),
        ended_by_tools=evaluator.tools.ended,
    )


async def evaluate_each(
    prepared: Prepared,
    names: Sequence[str],
    *,
    walls: Walls,
    engine: Engine,
    store: Store,
    compiled: Mapping[str, Runnable] | None = None,
    report: Report = silent,
    execute: Execute = metered,
) -> tuple[tuple[EvalResult, ...], Halt | None]:
    """The blocks one after the other; at a wall, or when the engine is stopped, those that are done, and why."""
    results: list[EvalResult] = []
    known: list[str] = []
    try:
        for name in names:
            known.clear()
            result = await evaluate_named(
                prepared,
                name,
                engine=engine,
                store=store,
                compiled=compiled,
                wall=walls.of(name),
                report=report,
                known=known,
                execute=execute,
            )
            results.append(result)
            prepared.finished(name)
    except (BudgetExceeded, Stopped) as halt:
        reason = "; ".join([halt.message, *known])
        unfinished = f"eval `{names[len(results)]}` was not finished: {reason}"
        return tuple(results), type(halt)(unfinished, help=halt.help)
    return tuple(results), None


class Walls:
    """Who pays for the eval blocks of one command.

    A block with a budget of its own pays for itself; the others share the wall of the optimize block that
    they score, which in a compile is what the steps have left.
    """

    def __init__(self, project: ir.Project, compiling: Mapping[str, Wall | None] | None = None) -> None:
        self._project = project
        self._shared = dict(compiling or {})

    def of(self, name: str) -> Wall | None:
        block = self._project.evals[name]
        if block.budget is not None:
            return wall_of(block.budget)
        owner = self._project.optimizes.get(block.program)
        if owner is None:
            return None
        if owner.name not in self._shared:
            self._shared[owner.name] = wall_of(owner.budget)
        return self._shared[owner.name]


def budget_of(project: ir.Project, name: str) -> ir.Budget:
    """What pays for eval block `name`: its own budget, else that of the optimize block it scores."""
    block = project.evals[name]
    owner = project.optimizes.get(block.program)
    if block.budget is not None or owner is None:
        return block.budget or ir.Budget()
    return owner.budget


def _program(prepared: Prepared, compiled: Mapping[str, Runnable], name: str) -> Runnable:
    found = compiled.get(name) or prepared.program(name)
    if found is None:
        raise InputError(f"`{name}` has not been compiled yet", help=f"run `dspc compile` for {name} first")
    return found


def _gate(gate: ir.EvalGate, after: Evaluation, before: Evaluation | None) -> GateResult:
    scope: dict[str, JsonValue] = {"score": after.score}
    if before is not None:
        scope["baseline"] = {"score": before.score}
    try:
        held = evaluate(gate.condition, scope)
    except EvaluationError as error:
        raise GateError(f"gate `{gate.text}` cannot be computed: {error.message}") from error
    if not isinstance(held, bool):
        raise GateError(
            f"gate `{gate.text}` gave {short(held)}", help="a gate is a comparison: true or false"
        )
    return GateResult(gate.text, held)
