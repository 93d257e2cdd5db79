"""Reads what was recorded, as a compile does: from a file that anybody may have written, and that may be written to meanwhile.

Nothing in the file is run: the two tables that are read have to be the very ones that `database` makes, and what is read may
take no more than a bounded number of steps. It is opened to be read alone. Where a writer has it open, SQLite reads
with it, as WAL mode allows; where none has, it is read as a file that nobody changes, which needs no file beside it, and it is
looked at afterwards whether that was true.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct, field

from ...models.upgrades import UNREADABLE
from .database import APPLICATION, TABLES, WAL

MOST_FEEDBACK = 2_000_000
_MOST_STEPS = 4_000_000_000
"""Of SQLite's machine, for all that is read of a file."""
_STEPS = 10_000_000
_LONGEST = 64 << 20
"""Bytes of one cell."""

_Stamp: TypeAlias = tuple[int, int, int, int]


class NoRecordFile(Exception):
    """The file cannot be read; the text continues "`recorded.sqlite` …"."""


class SaidOfCall(Struct):
    """What was said of a call: of each the last that was said."""

    score: float | None = None
    comment: str | None = None
    outputs: list[str] = field(default_factory=list[str])
    """JSON objects of outputs that would have been right, the last at the end."""


class RecordedCall(Struct, frozen=True):
    """One call. Texts are JSON as it was written, and None where nothing was."""

    number: int
    """Counts the calls of the file, from 1."""
    id: str
    program: str
    inputs: str | None
    outputs: str | None
    said: SaidOfCall | None


class RecordedCalls:
    """The calls in a file, in the order in which they ended. Raises NoRecordFile, on opening and while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps = 0
        self._stamp: _Stamp | None = None
        try:
            if not _size(Path(f"{path}{WAL}")):
                self._stamp = _stamp(path)
            self._connection = self._open()
            try:
                self._check()
                self._said = self._feedback()
            except BaseException:
                self._connection.close()
                raise
        except (OSError, *UNREADABLE) as error:
            raise _told(error) from None

    def __enter__(self) -> RecordedCalls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def programs(self) -> dict[str, int]:
        """The programs whose calls these are, each with how many there are."""
        found: dict[str, int] = {}
        for (name,) in self._rows("SELECT program FROM calls"):
            key = _text(name) or ""
            found[key] = found.get(key, 0) + 1
        return found

    def calls(self) -> Iterator[RecordedCall]:
        before = 0
        for number, name, program, inputs, outputs in self._rows(
            "SELECT seq, id, program, inputs, outputs FROM calls ORDER BY seq"
        ):
            if not isinstance(number, int) or number <= before:
                raise NoRecordFile("is damaged: its calls are in no order")
            before = number
            key = _text(name) or ""
            yield RecordedCall(
                number, key, _text(program) or "", _text(inputs), _text(outputs), self._said.get(key)
            )
        if self._stamp is not None and _stamp(self._path) != self._stamp:
            raise NoRecordFile("was written to while it was read: run it again")

    def _open(self) -> sqlite3.Connection:
        still = "" if self._stamp is None else "&immutable=1"
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro{still}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = bytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.set_progress_handler(self._count, _STEPS)
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {setting}")
        return connection

    def _count(self) -> int:
        self._steps += _STEPS
        return self._steps > _MOST_STEPS

    def _check(self) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        there = {
            _text(name): _text(text)
            for name, text in self._connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE name IN (?, ?)", tuple(TABLES)
            )
        }
        if application != APPLICATION:
            raise NoRecordFile("is an SQLite file, but none of recorded calls")
        if there != TABLES:
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > 1:
                raise NoRecordFile("was recorded by a newer version of dspec")
            raise NoRecordFile("has other tables than files of recorded calls have")

    def _feedback(self) -> dict[str, SaidOfCall]:
        found: dict[str, SaidOfCall] = {}
        rows = self._rows("SELECT id, score, comment, outputs FROM feedback ORDER BY seq")
        for count, (name, score, comment, outputs) in enumerate(rows):
            if count >= MOST_FEEDBACK:
                raise NoRecordFile(f"has more than {MOST_FEEDBACK:,} rows of feedback")
            said = found.setdefault(_text(name) or "", SaidOfCall())
            if isinstance(score, int | float) and 0 <= score <= 1:
                said.score = float(score)
            if (text := _text(comment)) is not None:
                said.comment = text
            if (text := _text(outputs)) is not None:
                said.outputs.append(text)
        return found

    def _rows(self, statement: str) -> Iterator[tuple[object, ...]]:
        try:
            yield from self._connection.execute(statement)
        except UNREADABLE as error:
            raise _told(error) from None


def _text(cell: object) -> str | None:
    return cell.decode(errors="replace") if isinstance(cell, bytes) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _stamp(path: Path) -> _Stamp:
    status = os.stat(path)  # noqa: PTH116 - with its OSError
    return status.st_ino, status.st_size, status.st_mtime_ns, _size(Path(f"{path}{WAL}"))


def _told(error: Exception) -> NoRecordFile:
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    if "not a database" in text:
        return NoRecordFile("is no SQLite file")
    if "interrupted" in text:
        return NoRecordFile("takes too long to read: it is damaged, or far too large")
    if "malformed" in text or "corrupt" in text:
        return NoRecordFile("is damaged")
    return NoRecordFile(f"cannot be read: {text}")
