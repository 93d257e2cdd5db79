"""Looks back at runs that were made: from the evaluation store and the ledger, asking no model and no tool.

A run that the store no longer knows is made again of the ledger's answers, as a compile does when it is repeated. Where an
answer is missing, the row is not known, and nothing stands in for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from msgspec import Struct

from dspec.runtime.errors import DspecError
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.reading import LedgerReader
from dspec.runtime.models.upgrades import UNREADABLE
from dspec.runtime.running.execute import run as run_once
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.program import digest
from dspec.runtime.schema.trace import TraceStep
from dspec.runtime.schema.usage import Spent

from ... import ir
from ...data.rows import Example
from ...evaluate.evaluation import Evaluator
from ...evaluate.leaving_out import left_out
from ...evaluate.meter import Account
from ...evaluate.outcomes import RowResult
from ...evaluate.store import ProgramKey, RunResult, Store


class KeptRuns(Store):
    """The runs of the store at `path`, which is not changed; what is added is remembered in memory.

    `taken` is what all the runs took that somebody asked for, each counted once.
    """

    def __init__(self, path: Path) -> None:
        self.taken = Spent()
        self._counted: set[bytes] = set()
        super().__init__(path)

    def __enter__(self) -> Self:
        return self

    def _open(self, path: Path) -> None:
        if not path.is_file():
            return
        with suppress(*UNREADABLE, OSError):
            self._database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, RunResult]:
        found = super().lookup(keys)
        for key, one in found.items():
            self._count(key, one)
        return found

    def put(self, key: bytes, run: RunResult) -> None:
        self._memory[key] = run
        self._count(key, run)

    def _count(self, key: bytes, run: RunResult) -> None:
        if key not in self._counted:
            self._counted.add(key)
            self.taken += run.spent


class SeenRow(Struct, frozen=True):
    """What is known of a program on one row: its result, and what its runs and those of the metric's judges took."""

    result: RowResult
    spent: Account


class Exchange(Struct, frozen=True):
    """One call of a predictor: what it was sent, and what came back, as text. `error` says why there is no answer."""

    step: str
    model: str
    messages: tuple[tuple[str, str], ...]
    answers: tuple[str, ...]
    notes: tuple[str, ...]
    error: str = ""


class Archive(Struct, frozen=True):
    """What is kept in a state folder. Its engine answers from the ledger, and stops whoever asks for more."""

    engine: Engine
    store: KeptRuns

    @property
    def taken(self) -> Spent:
        """What all the runs took that were looked at, each counted once."""
        return self.store.taken

    async def look(
        self, program: Runnable, rows: Sequence[Example], metric: ir.Metric
    ) -> list[SeenRow | None]:
        """The program on each row; None where an answer is missing."""
        found = await self._in_the_store(program, rows, metric)
        for place, row in enumerate(rows):
            if place not in found:
                found[place] = await self._alone(program, row, metric)
        return [found[place] for place in range(len(rows))]

    async def _in_the_store(
        self, program: Runnable, rows: Sequence[Example], metric: ir.Metric
    ) -> dict[int, SeenRow | None]:
        """Rows whose run the store has, by place, all at once. None are, where a row's result takes more than one run."""
        if isinstance(program, Ensemble) or metric.judges:
            return {}
        keyed = ProgramKey(program)
        keys = [
            keyed.run(
                digest(row.inputs),
                sample=0,
                temperature=None,
                left_out=left_out(program, row.inputs) is not program,
            )
            for row in rows
        ]
        known = self.store.lookup(keys)
        places = [place for place, key in enumerate(keys) if key in known]
        evaluator = Evaluator(self.engine, self.store, metric, on_error="score_zero")
        try:
            seen = await evaluator.evaluate(program, [rows[place] for place in places])
        except DspecError:
            return {}  # the metric fails so often that each row is to be looked at by itself
        found: dict[int, SeenRow | None] = {}
        for place, result in zip(places, seen.rows, strict=True):
            run = known[keys[place]]
            account = Account()
            account.add("task", run.spent, run.flaws)
            found[place] = SeenRow(result, account)
        return found

    async def _alone(self, program: Runnable, row: Example, metric: ir.Metric) -> SeenRow | None:
        """A row with an evaluator of its own, so that it is known by itself, and counted with all that it took."""
        # A metric that fails on a row is a result here, whatever the block's `on_error` says.
        evaluator = Evaluator(self.engine, self.store, metric, on_error="score_zero")
        try:
            seen = await evaluator.evaluate(program, [row])
        except DspecError:
            return None
        return SeenRow(seen.rows[0], evaluator.spent)

    async def exchanges(self, program: Runnable, row: Example) -> tuple[Exchange, ...]:
        """What was said between the program and its models on a row, as far as the ledger has it."""
        asked = program if isinstance(program, Ensemble) else left_out(program, row.inputs)
        trace: tuple[TraceStep, ...]
        try:
            trace = (await run_once(asked, row.inputs, self.engine, record=True)).trace
        except DspecError as error:
            trace = error.trace
        return tuple(map(_exchange, [step for step in trace if step.predictor]))


def _exchange(step: TraceStep) -> Exchange:
    answers = tuple(call.answer for call in step.calls if not call.error)
    messages = step.exchange[:-1] if step.exchange and step.exchange[-1][0] == "assistant" else step.exchange
    model = step.calls[-1].model if step.calls else ""
    error = next((call.error for call in reversed(step.calls) if call.error), "")
    return Exchange(step.step, model, messages, answers, step.notes, error)


@asynccontextmanager
async def archive(state: Path, *, spoiled: bool = True) -> AsyncGenerator[Archive]:
    """What is kept in the folder `state`, which may be missing. With `spoiled`, answers that could not be read count, too.

    Raises ConfigurationError for a ledger that cannot be opened.
    """
    with (
        LedgerReader(state / "ledger.sqlite", spoiled=spoiled) as ledger,
        KeptRuns(state / "evaluations.sqlite") as store,
    ):
        async with Engine(ledger=ledger) as engine:
            await engine.drain()  # from now on it starts nothing
            yield Archive(engine, store)
