"""Answering the rows: so many at once, each written down as it ends, until all are, or until nothing more can be.

A row that cannot be read, or whose answer cannot be used, has failed and the others go on. What concerns every row ends the
work: a key that is refused, a wall, a ledger that takes no more, a model that answers nobody. Rows that were under way then
end as they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from msgspec import Struct

from dspec.runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    DspecError,
    ProviderError,
    Refused,
    Stopped,
    Unauthorized,
)
from dspec.runtime.models.calls import Completion, Purse
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Answering, Request, ToolAnswer
from dspec.runtime.running.bringing import brought
from dspec.runtime.running.execute import run
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import LM, Record, Tool
from dspec.runtime.schema.types import Row

from ...evaluate.budget import Wall
from .journal import RowAnswer, RowJournal
from .sheet import Sheet, SheetRow

_ENDING = (BudgetExceeded, ConfigurationError, Stopped, Unauthorized)
"""What no other row would fare better with."""
_IN_A_ROW = 8
"""Rows that a model leaves without an answer, one after the other and none between, before it is taken to answer nobody. As
many as are asked at once, where that is more."""
_PASSED_BETWEEN_YIELDS = 512


class BulkDone(Struct, frozen=True):
    """How far it came. `halt` is why no further."""

    rows: int
    """Rows that were looked at, those that were answered before included."""
    halt: DspecError | None


class _Paying(Struct, frozen=True):
    """The engine as one row asks it: somebody pays."""

    engine: Engine
    purse: Purse | None

    async def complete(self, request: Request) -> Completion:
        return await self.engine.complete(request, purse=self.purse)

    def unusable(self, request: Request) -> None:
        self.engine.unusable(request)

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        return await self.engine.call(
            tool, arguments, lms=lms, records=records, answer=answer, purse=self.purse
        )


class _Bulk:
    def __init__(
        self,
        sheet: Sheet,
        program: Runnable,
        engine: Engine,
        journal: RowJournal,
        wall: Wall | None,
        tell: Callable[[], None],
        at_once: int,
    ) -> None:
        self._sheet = sheet
        self._program = program
        self._engine = engine
        self._journal = journal
        self._wall = wall
        self._tell = tell
        self._patience = max(_IN_A_ROW, at_once)
        self._names = [field.name for field in program.outputs]
        self._unanswered = 0
        """Rows in a row that no model answered."""
        self.seen = 0
        self.halt: DspecError | None = None

    async def worker(self, rows: Iterator[SheetRow]) -> None:
        while self.halt is None:
            try:
                row = next(rows, None)
                if row is None:
                    return
                self.seen = max(self.seen, row.place + 1)
                if self._journal.is_answered(row.place):
                    if row.place % _PASSED_BETWEEN_YIELDS == 0:
                        await asyncio.sleep(0)
                    continue
                answer = await self._answer(row)
                if answer is not None:
                    self._journal.add(row.place, answer)
                    self._tell()
            except DspecError as error:  # of the file of rows, or of the journal
                self.halt = self.halt or error

    async def _answer(self, row: SheetRow) -> RowAnswer | None:
        """What became of a row; None where that is left open."""
        purse = None if self._wall is None else self._wall.purse(row.place)
        try:
            inputs, held = brought(self._program.inputs, self._sheet.inputs(row))
            outcome = await run(self._program, inputs, _Paying(self._engine, purse))
            del held  # what was passed is held till here
        except _ENDING as error:
            self.halt = self.halt or error
            return None
        except ProviderError as error:
            if not isinstance(error, Refused):
                self._unanswered += 1
                if self._unanswered >= self._patience:
                    self.halt = self.halt or error.within(
                        f"{self._unanswered} rows, one after the other, had no answer; the last"
                    )
            return RowAnswer(failure=error.message)
        except DspecError as error:
            return RowAnswer(failure=error.message)
        self._unanswered = 0
        return RowAnswer([outcome.outputs[name] for name in self._names])


async def answer_rows(
    sheet: Sheet,
    program: Runnable,
    engine: Engine,
    journal: RowJournal,
    *,
    wall: Wall | None,
    at_once: int,
    limit: int | None,
    tell: Callable[[], None] = lambda: None,
) -> BulkDone:
    """Answers the first `limit` rows, or all, `at_once` of them at the same time. `tell` is called after each."""
    bulk = _Bulk(sheet, program, engine, journal, wall, tell, at_once)
    rows = islice(sheet.rows(), limit)
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(bulk.worker(rows))
    return BulkDone(bulk.seen, bulk.halt)
