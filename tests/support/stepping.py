"""Run one optimizer on scripted answers and see what it did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pytest
from scripted import Reply, Script, classifier, exact, rows, scripted

from dspec.compiler import ir
from dspec.compiler.data import Rows
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.counts import Calls
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.meter import Account
from dspec.compiler.evaluate.store import Store
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context, Facts, Nested, Options, StepResult
from dspec.compiler.optimizers.choosing import ModelChoice
from dspec.compiler.optimizers.compat.table import Compat, calls_of, run_of
from dspec.compiler.optimizers.demos import has_labels
from dspec.compiler.optimizers.frozen import freeze, thawed, tunable
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.optimizers.texts import tunable_tools
from dspec.compiler.optimizers.training.service import Training
from dspec.runtime.models.protocol import Tools
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import LM, Program
from dspec.runtime.schema.types import JsonValue

TWELVE = rows(12)


def inner(optimizer: str, **options: JsonValue) -> Nested:
    """An optimizer inside BetterTogether."""
    return Nested(optimizer, SPECS[optimizer], Options(SPECS[optimizer], options))


@dataclass(frozen=True)
class Stepped:
    """What came out, what was asked, and what the step's formula had promised."""

    result: StepResult
    script: Script
    spent: Account
    promised: Calls
    told: list[tuple[str, float | None]]

    @property
    def program(self) -> Program:
        assert isinstance(self.result.program, Program)
        return self.result.program

    @property
    def labels(self) -> list[str]:
        """The candidates' labels, best first."""
        return [candidate.label for candidate in self.result.candidates]

    def demos(self, address: str = "ask") -> list[dict[str, JsonValue]]:
        """One predictor's demos as single rows, `+` marking what a teacher made."""
        return [
            demo.inputs | demo.outputs | ({"+": True} if demo.augmented else {})
            for demo in self.program.predictors[address].demos
        ]


async def step(
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
    reply: Reply,
    *,
    student: Program | None = None,
    teacher: Runnable | None = None,
    train: Rows = TWELVE,
    val: Rows | None = None,
    metric: ir.Metric | None = None,
    seed: int = 0,
    threads: int = 16,
    latency: Callable[[], float] | None = None,
    budget: ir.Budget | None = None,
    val_given: bool = True,
    members: tuple[Program, ...] = (),
    nested: Mapping[str, Nested] | None = None,
    training: Training | None = None,
    teachers: Sequence[Runnable] = (),
    frozen: Collection[str] = (),
    compat: Compat | None = None,
    lms: Sequence[LM] = (),
    reducer: Program | None = None,
    tools: Tools | None = None,
    ends: bool = False,
    models: ModelChoice = ModelChoice(),  # noqa: B008  # a frozen value
    **options: JsonValue,
) -> Stepped:
    """`ends` says whether the step may end where nothing can be better; what else it does is seen where it may not."""
    student = freeze(student or classifier(), frozen)
    val = train if val is None else val
    spec = SPECS[optimizer]
    script = Script(reply, latency)
    told: list[tuple[str, float | None]] = []
    with scripted(monkeypatch, script, threads=threads, tools=tools) as engine:
        wall = None if budget is None else Wall(budget)
        evaluator = Evaluator(engine, Store(), metric or exact(), wall=wall)
        context = Context(
            evaluator=evaluator,
            train=train,
            val=val,
            teacher=teacher,
            rng=lambda name: stream(seed, "step", name),
            progress=lambda label, score: told.append((label, score)),
            val_given=val_given,
            members=members,
            reducer=reducer,
            nested=nested or {},
            training=training,
            teachers=tuple(teachers),
            lms={lm.name: lm for lm in lms},
            faithful=not ends,
            models=models,
        )
        chosen = Options(spec, options)
        result = thawed(await run_of(spec, compat)(student, chosen, context))
    facts = Facts(
        len(train),
        len(val),
        len(tunable(student)),
        calls_per_run(student),
        teacher_calls_per_run=None if teacher is None else sum(map(calls_per_run, (teacher, *teachers))),
        teachers=0 if teacher is None else 1 + len(teachers),
        val_given=val_given,
        labelled=has_labels(student, train),
        nested=nested or {},
        tools=len(tunable_tools(student)),
        lms=max(1, len(models.names)),
        choosing=len(models.addresses),
    )
    return Stepped(result, script, evaluator.spent, calls_of(spec, compat)(chosen, facts), told)
