"""Rows of evals that have just run: each with what it took, and whether its answers were there before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.lms import LM

from ... import ir
from ...data.rows import Example
from ...evaluate.meter import Account
from ...evaluate.outcomes import Evaluation
from ...project.state import project_root, state_place
from ..evals import EvalResult
from ..prepared import Prepared, spell_rows
from .kept import SeenRow, archive
from .rowfiles import EvalRows
from .tables import table_of


class EvalsSeen:
    """What is kept of the rows of eval blocks before they run; afterwards, `rows` of what came of them."""

    def __init__(
        self, prepared: Prepared, names: Sequence[str], programs: Mapping[str, Runnable], base: Path
    ) -> None:
        self._project = prepared.project
        self._state = state_place(project_root(base / "any.dspec"))
        # Now, since a command lets go of rows once their block is done.
        self._rows = {name: prepared.rows(prepared.project.evals[name].data) for name in names}
        self._programs = {
            name: programs.get(name) or prepared.program(name)
            for block in map(prepared.project.evals.__getitem__, names)
            for name in (block.program, block.baseline)
            if name is not None
        }
        self._before = {name: self._look(self._block(name).program, name, spoiled=False) for name in names}

    @property
    def lms(self) -> list[LM]:
        """The models of all programs."""
        return [lm for one in self._programs.values() if one is not None for lm in one.lms.values()]

    def rows(self, results: Sequence[EvalResult]) -> list[EvalRows]:
        return [self._of(result) for result in results]

    def _block(self, name: str) -> ir.Eval:
        return self._project.evals[name]

    def _of(self, result: EvalResult) -> EvalRows:
        block, rows = self._block(result.name), self._rows[result.name]
        program = self._programs[block.program]
        assert program is not None, "it was scored"
        other = None if block.baseline is None else self._programs[block.baseline]
        before: Sequence[SeenRow | None] = [None] * len(rows)
        if block.baseline is not None and result.baseline is not None:
            before = self._joined(result.baseline, block.baseline, result.name)
        table = table_of(
            f"eval {result.name}",
            spell_rows(block.data),
            rows,
            self._project.datasets[block.data.dataset],
            self._project.metrics[block.metric],
            (block.baseline or "", other, before),
            (block.program, program, self._joined(result.program, block.program, result.name)),
            unseen=True,
        )
        return EvalRows(result.name, table, tuple(one is not None for one in self._before[result.name]))

    def _joined(self, evaluation: Evaluation, program: str, name: str) -> list[SeenRow | None]:
        """What the eval says of each row, with what the runs took that are kept now."""
        seen = self._look(program, name, spoiled=True)
        return [
            SeenRow(row, Account() if one is None else one.spent)
            for row, one in zip(evaluation.rows, seen, strict=True)
        ]

    def _look(self, program: str, name: str, *, spoiled: bool) -> list[SeenRow | None]:
        found, rows = self._programs[program], self._rows[name]
        if found is None:
            return [None] * len(rows)
        metric = self._project.metrics[self._block(name).metric]
        return asyncio.run(_look(self._state, found, rows, metric, spoiled=spoiled))


async def _look(
    state: Path, program: Runnable, rows: Sequence[Example], metric: ir.Metric, *, spoiled: bool
) -> list[SeenRow | None]:
    async with archive(state, spoiled=spoiled) as kept:
        return await kept.look(program, rows, metric)
