"""What is kept beside the answers until they are whole: which rows are answered by what, the journal, and the ledger.

The folder is called like the file of answers, with `.part` behind. It says what it was begun for, so that no row is ever
answered by another program, from another file or by other columns than the rest; who wants that begins anew. It is removed once
every row is answered. Where some have failed it stays, and the same command asks those again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from msgspec import Struct

from dspec.runtime.artifact.files import write_whole
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import digest
from dspec.runtime.schema.types import JsonValue

from ...diagnostics.wording import plural
from ...evaluate.digests import ANSWERS, program_digest
from ...project.lock import held
from .answers import FORMATS, AnswerColumns, failures_in
from .journal import RowJournal
from .sheet import Sheet

_SERVED = {"api_base", "api_base_env"}
_JOURNAL, _LEDGER, _ABOUT = "rows.jsonl", "ledger.sqlite", "job.json"


class BulkJob(Struct, frozen=True):
    """Rows, what they are answered by, and where the answers go."""

    sheet: Sheet
    program: Runnable
    columns: AnswerColumns
    out: Path

    @property
    def folder(self) -> Path:
        return self.out.with_name(f"{self.out.name}.part")

    @property
    def journal(self) -> Path:
        return self.folder / _JOURNAL

    @property
    def ledger(self) -> Path:
        return self.folder / _LEDGER

    def about(self) -> dict[str, JsonValue]:
        """What must be the same for all rows, each with the words for it in messages."""
        models: dict[str, JsonValue] = {
            name: lm.model_dump(mode="json", include=ANSWERS | _SERVED)
            for name, lm in self.program.lms.items()
        }
        return {
            "the rows": self.sheet.digest,
            "the program": program_digest(self.program),
            "the models": digest(models),
            "the columns": digest([dict(self.sheet.columns), dict(self.columns.kept)]),
        }


def check_out(out: Path, sheet: Sheet) -> None:
    """Raises ConfigurationError where no answers can be written."""
    if out.suffix.removeprefix(".").lower() not in FORMATS:
        raise ConfigurationError(
            f"answers are written to files that end with {', '.join(f'.{name}' for name in FORMATS)}, and {out} does not"
        )
    if out.resolve() == sheet.path.resolve():
        raise ConfigurationError(f"{out} holds the rows, and would be overwritten by the answers")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigurationError(f"{out} is a folder" if out.is_dir() else f"there is no folder {out.parent}")


@asynccontextmanager
async def opened(job: BulkJob, *, anew: bool) -> AsyncGenerator[RowJournal]:
    """Goes on with what was begun for the answers, or begins; with `anew`, rows that were answered before are not taken over,
    though nothing is paid twice. Nobody else may be at work on them.

    Raises ConfigurationError where somebody is, where the answers are there already, and where they were begun for something
    else.
    """
    folder, about = job.folder, job.about()
    if job.out.exists() and not anew and _read(folder) is None:
        raise ConfigurationError(
            f"{job.out} is there already",
            help="name another file, or say --overwrite: it stays until the new one is whole",
        )
    try:
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be used: {error.strerror or error}",
            help="make room and make it writable, then run the same command again: it goes on",
        ) from error

    def busy(holder: str) -> None:
        raise ConfigurationError(f"{holder} is at work on {job.out}", help="wait until it is done")

    async with held(folder / "lock", busy):
        known = _read(folder)
        if known is not None and known != about and not anew:
            others = [name for name in about if about[name] != known.get(name)]
            raise ConfigurationError(
                f"{folder} was begun for other answers: {' and '.join(others) or 'something'} changed since",
                help="name another file for the answers, or say --overwrite to begin anew",
            )
        if anew or known is None:
            job.journal.unlink(missing_ok=True)
        if known != about:
            write_whole(folder / _ABOUT, json.dumps(about, indent=2).encode() + b"\n")
        with RowJournal(job.journal) as journal:
            yield journal


def _read(folder: Path) -> dict[str, JsonValue] | None:
    try:
        found: object = json.loads((folder / _ABOUT).read_bytes())
    except (OSError, ValueError):
        return None
    return cast("dict[str, JsonValue]", found) if isinstance(found, dict) else None


def join(job: BulkJob, journal: RowJournal, rows: int) -> None:
    """Writes the file of answers for the first so many rows, whole or not at all, and lets the folder go where none failed.

    Raises ConfigurationError where that cannot be, and where the file that is there has fewer failed rows: it stays.
    """
    if job.sheet.digest_now() != job.sheet.digest:
        raise ConfigurationError(
            f"{job.sheet.path} was changed while its rows were answered",
            help=f"put it back as it was and run the same command again; what was answered is in {job.folder}",
        )
    if job.out.exists() and journal.failed:
        before = failures_in(job.out)
        if before is not None and before < journal.failed:
            lack = plural(before, "of its rows has", "of its rows have")
            raise ConfigurationError(
                f"{job.out} is kept: {lack} no answer, and {journal.failed:,} of the new ones",
                help="run the same command again, which asks for those alone",
            )
    beside = job.folder / f"answers{job.out.suffix.lower()}"
    try:
        beside.unlink(missing_ok=True)
        FORMATS[job.out.suffix.removeprefix(".").lower()](
            beside, job.columns, _joined(job, journal, rows), job.sheet.path
        )
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(job.out)
    except OSError as error:
        raise ConfigurationError(
            f"{job.out} cannot be written: {error.strerror or error}",
            help=f"run the same command again; what was answered is in {job.folder}",
        ) from error


def let_go(job: BulkJob) -> None:
    """Removes what is kept beside the answers: they are whole."""
    with suppress(OSError):
        shutil.rmtree(job.folder)


def _joined(job: BulkJob, journal: RowJournal, count: int) -> Iterator[Sequence[JsonValue]]:
    kept, outputs = tuple(job.columns.kept), len(job.columns.outputs)
    with journal.reader() as reader:
        for row in job.sheet.rows():
            if row.place >= count:
                return
            answer = reader.of(row.place)
            if answer is None or (not answer.failure and len(answer.outputs) != outputs):
                raise ConfigurationError(
                    f"{journal.path} is damaged: row {row.place + 1} is not in it",
                    help="run the same command again with --overwrite; answers that were paid are kept",
                )
            values = [None] * outputs if answer.failure else answer.outputs
            yield [*(row.cells.get(name) for name in kept), *values, answer.failure or None]
