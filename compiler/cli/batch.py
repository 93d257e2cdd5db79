"""`dspc batch`: answer every row of a file by a program."""

from __future__ import annotations

import asyncio
import json as jsonlib
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import ConfigurationError, DspecError

from .budgets import BudgetOption, over_settings, read_budget
from .completing import names_of
from .confirming import Stake, YesOption, confirm, somebody_answers
from .console import Exit, exit_code, fail, print_error, print_json, stderr
from .options import ThreadsOption, TransportChoice, TransportOption
from .run import AllowOption, ApiBaseOption, LmOption, TargetArgument

if TYPE_CHECKING:
    from dspec.runtime.application import Application
    from dspec.runtime.models.engine import Tally
    from dspec.runtime.schema.ensemble import Runnable
    from dspec.runtime.schema.types import Row

    from .. import ir
    from ..serving.bulk.job import BulkJob
    from ..serving.bulk.journal import RowJournal
    from ..serving.bulk.work import BulkDone

_LINES_EVERY = 10.0
_DRAWN_EVERY = 0.2
"""Seconds between two tellings of how far it is: a line of a log, and the line on a terminal that is written over."""


class ModeChoice(StrEnum):
    direct = "direct"
    batch = "batch"


def batch(
    target: TargetArgument,
    rows: Annotated[
        Path,
        typer.Argument(metavar="ROWS", help="The rows: .csv, .jsonl, .json or .parquet.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The answers, one a row: .csv, .jsonl or .parquet.", show_default=False
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Of a .dspec file: the module or program.",
            autocompletion=names_of("module", "program"),
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=COLUMN",
            help="The column of an input that is called otherwise there.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column that the answers carry along; all if none is named, none for an empty name.",
            show_default=False,
        ),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the cells of a .csv of rows.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows, the first ones.")] = None,
    budget: BudgetOption = None,
    mode: Annotated[
        ModeChoice,
        typer.Option(help="batch: by the providers' batch APIs, at half the price for most, within a day."),
    ] = ModeChoice.direct,
    lm: LmOption = None,
    api_base: ApiBaseOption = None,
    allow: AllowOption = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Begin anew, and take the place of answers that are there."),
    ] = False,
    yes: YesOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What came of it, for machines.")] = False,
) -> None:
    """Answer every row of a file. Run again after any end, it goes on where it was, and asks again what failed."""
    from ..data.problem import DataError
    from ..serving.bulk.answers import answer_columns, polars_or_not
    from ..serving.bulk.job import BulkJob, check_out
    from ..serving.bulk.sheet import Sheet
    from .run import open_target

    wall = over_settings(target, read_budget(budget or []))
    application = open_target(target, name, lm, api_base, tuple(allow or ()))
    program = _in_batches(application.program) if mode is ModeChoice.batch else application.program
    try:
        sheet = Sheet(rows, program, columns=_pairs(column or []), delimiter=delimiter)
        check_out(out, sheet)
        if out.suffix.lower() == ".parquet":
            polars_or_not()
    except ConfigurationError as error:
        fail(error.message, help=error.help, code=Exit.USAGE)
    there = sheet.check_columns()
    kept = there if keep is None else [one for one in keep if one]
    if unknown := [one for one in kept if one not in there]:
        fail(f"{rows} has no column `{unknown[0]}` to keep", code=Exit.USAGE)
    columns = answer_columns(kept, application.outputs)
    for given, called in columns.kept.items():
        if given != called and not quiet:
            stderr().print(f"the column `{given}` of {rows} is `{called}` in the answers", markup=False)
    job = BulkJob(sheet, program, columns, out)
    done, shown = asyncio.run(
        _work(application, job, wall, threads, transport, limit, anew=overwrite, asking=not yes, quiet=quiet)
    )
    if json:
        print_json(jsonlib.dumps(shown.told(), indent=2))
    elif done.halt is None:
        shown.finish(str(out))
    if done.halt is not None:
        print_error(done.halt.message, done.halt.help)
        # Of a file that is mended, the rows are others, and their places in the answers, too.
        again = (
            f"mend {rows}, and run it again with --overwrite: no answer is paid twice"
            if isinstance(done.halt, DataError)
            else "run the same command again to go on"
        )
        stderr().print(f"{shown.counted()}; {again} ({job.folder})", markup=False)
        raise typer.Exit(exit_code(done.halt))
    if shown.failed:
        raise typer.Exit(Exit.FINDINGS)


async def _work(
    application: Application,
    job: BulkJob,
    budget: ir.Budget,
    threads: int,
    transport: TransportChoice,
    limit: int | None,
    *,
    anew: bool,
    asking: bool,
    quiet: bool,
) -> tuple[BulkDone, _Shown]:
    from dspec.runtime.models.ledger import Ledger
    from dspec.runtime.running.overriding import used_by

    from ..evaluate.budget import wall_of
    from ..serving.bulk.job import join, let_go, opened
    from ..serving.bulk.work import BulkDone, answer_rows
    from .session import StopSignals, collect_rarely

    collect_rarely()
    count = job.sheet.count()
    total = count if limit is None or count is None else min(limit, count)
    async with opened(job, anew=anew) as journal:
        if asking and somebody_answers():
            _confirm(job, journal, limit, budget)
        with Ledger(job.ledger) as ledger:
            async with application.serving.apart(
                threads=threads, ledger=ledger, transport=transport.value
            ) as engine:
                shown = _Shown(journal, engine.tally, total, quiet=quiet)
                ledger.begin("batch")
                stops = StopSignals(engine)
                try:
                    done = await answer_rows(
                        job.sheet,
                        job.program,
                        engine,
                        journal,
                        wall=wall_of(budget),
                        at_once=engine.at_once(job.program.lms[name] for name in used_by(job.program)),
                        limit=limit,
                        tell=shown.tell,
                    )
                finally:
                    await stops.drained()
                    stops.release()
                shown.end()
                if done.halt is None:
                    ledger.end()
                    try:
                        await asyncio.to_thread(join, job, journal, done.rows)
                    except DspecError as error:
                        done = BulkDone(done.rows, error)
            shown.answered, shown.failed = journal.answered, journal.failed
        # Of more rows than were asked for now, what is known of the others stays.
        if done.halt is None and not journal.failed and journal.answered <= done.rows:
            let_go(job)
    return done, shown


def _confirm(job: BulkJob, journal: RowJournal, limit: int | None, budget: ir.Budget) -> None:
    """Asks for the rows that are not answered yet. Leaves where the answer is no, with nothing begun."""
    from dspec.runtime.errors import InputError
    from dspec.runtime.models.prices import costs_nothing

    from ..compile.forecast import forecast_rows
    from ..project.state import project_root
    from ..serving.bulk.job import let_go

    if costs_nothing(job.program.lms.values()):
        return

    def inputs() -> Iterator[Row]:
        for row in islice(job.sheet.rows(), limit):
            if not journal.is_answered(row.place):
                with suppress(InputError):  # such a row fails, and costs nothing
                    yield job.sheet.inputs(row)

    note = "a guess; answers that were paid before are free" if job.ledger.exists() else "a guess"
    found = forecast_rows(job.program, inputs(), project_root(job.sheet.path))
    try:
        confirm([Stake(f"batch {job.sheet.path}", found.expected, found.most, budget, note)])
    except typer.Exit:
        if not journal.answered and not journal.failed and not job.ledger.exists():
            let_go(job)
        raise


def _in_batches(program: Runnable) -> Runnable:
    """The program with its models asked by their providers' batch APIs. Leaves where one of them has none."""
    from dspec.runtime.models.endpoints import has_batches
    from dspec.runtime.running.overriding import used_by

    lms = {name: program.lms[name] for name in used_by(program)}
    for name, lm in lms.items():
        if not has_batches(lm.model) and not lm.model.startswith("embedded/"):
            fail(
                f"lm {name}: {lm.model} has no batch API that dspec knows",
                help="leave --mode out, or take another model with --lm",
                code=Exit.USAGE,
            )
    return program.with_lms({name: lm.model_copy(update={"mode": "batch"}) for name, lm in lms.items()})


def _pairs(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        field, equals, column = text.partition("=")
        if not equals or not field or not column:
            fail(f"`{text}` names no column", help="write --column input=column", code=Exit.USAGE)
        found[field] = column
    return found


class _Shown:
    """Says how far it is: on a terminal one line that is written over, else a line now and then."""

    def __init__(self, journal: RowJournal, tally: Tally, total: int | None, *, quiet: bool) -> None:
        self._journal = journal
        self._tally = tally
        self._total = total
        self._console = stderr()
        self._live = self._console.is_terminal and not quiet
        self._every = _DRAWN_EVERY if self._live else _LINES_EVERY
        self._quiet = quiet
        self._began = self._told = time.monotonic()
        self._before = journal.answered + journal.failed
        self.answered, self.failed = journal.answered, journal.failed

    def tell(self) -> None:
        now = time.monotonic()
        if self._quiet or now - self._told < self._every:
            return
        self._told = now
        self.answered, self.failed = self._journal.answered, self._journal.failed
        seconds = max(now - self._began, 1e-6)
        rate = max(0, self.answered + self.failed - self._before) / seconds
        parts = [self.counted(), f"{rate:,.0f} rows/s", *self._money()]
        if self._total is not None and rate > 0:
            left = max(0, self._total - self.answered - self.failed) / rate
            parts.append(f"{_minutes(left)} left")
        line = " · ".join(parts)
        if self._live:
            self._console.file.write(f"\r\x1b[2K{line}"[: self._console.width + 4])
            self._console.file.flush()
        else:
            self._console.print(line, markup=False)

    def end(self) -> None:
        if self._live:
            self._console.file.write("\r\x1b[2K")
        self.answered, self.failed = self._journal.answered, self._journal.failed

    def finish(self, out: str) -> None:
        if not self._quiet:
            self._console.print(" · ".join([self.counted(), *self._money(), out]), markup=False)

    def counted(self) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        failed = f", {self.failed:,} failed" if self.failed else ""
        rows = "row" if (self.answered if self._total is None else self._total) == 1 else "rows"
        return f"{self.answered:,}{of} {rows} answered{failed}"

    def told(self) -> dict[str, object]:
        spent = self._tally.spent
        return {
            "answered": self.answered,
            "failed": self.failed,
            "rows": self._total,
            "calls": spent.calls,
            "replayed": self._tally.free,
            "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens,
            "usd": spent.known_usd,
        }

    def _money(self) -> list[str]:
        spent = self._tally.spent
        if spent.known_usd is None:
            return [f"{spent.tokens:,} tokens"]
        return [f"${spent.known_usd:,.4f}"]


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
