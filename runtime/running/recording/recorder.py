"""Records an application's calls without ever making one wait.

A call is made into the text that is written where it ends, which takes microseconds, and put into a queue that is bounded by
calls and by bytes. One thread writes what has gathered a few times a second, in one transaction, and lets go of the file when
nothing has come for a while: then everything is in the one file, which can be copied. What the queue or the disk does not
take is counted, said once a minute in the log, and lost.

So a process that is killed loses what it had not written yet, a fraction of a second as long as the disk keeps up. A forked
child begins with an empty queue, a thread and a connection of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast
from weakref import WeakSet

import msgspec
from msgspec import Struct

from ...errors import ConfigurationError, DspecError
from ...models.compact import compact, read_compact
from ...models.upgrades import UNREADABLE
from ...schema.ensemble import Runnable
from ...schema.program import digest
from ...schema.trace import ModelCall, TraceStep
from ...schema.types import JsonValue, Row
from ...schema.usage import Spent
from .database import open_to_write, unusable
from .settings import RecordSettings, redacted

if TYPE_CHECKING:
    from ..records import CallRecord

_LOG = logging.getLogger("dspec")
GATHER = 0.2
"""Seconds for which calls gather before they are written."""
_IDLE = 10
"""So many times that nothing has gathered, the file is closed."""
MOST_WAITING = 20_000
"""Records that wait at most."""
MOST_WAITING_BYTES = 64 << 20
_SAY_AGAIN = 60.0
"""Seconds between two lines of the log about what was lost."""
_STOP_SECONDS = 5.0
_LONGEST_ERROR = 2_000
_SPARE = 0.95
"""How full the file is left where something has to leave: so that not every call makes another one leave."""

_AT_ONCE = (64, 8, 1)
"""Rows that one statement inserts. 64 of 14 cells each are within what any SQLite takes."""

Cell: TypeAlias = str | float | None


class RecordCounts(Struct, frozen=True):
    """What has become of this process's records so far, feedback included."""

    written: int = 0
    waiting: int = 0
    lost: int = 0
    """That the queue or the disk did not take, or `redact` failed for."""
    withheld: int = 0
    """That `redact` gave None for."""
    cut: int = 0
    """Written without texts, or without inputs and outputs, since they were too large."""


_CALL_CELLS = (
    *("id", "program", "began", "seconds", "error", "calls"),
    *("replayed", "input_tokens", "output_tokens", "usd"),
)
_CALL_TEXTS = ("inputs", "outputs", "trace")
_FEEDBACK_CELLS = ("id", "at", "score", "comment")
_FEEDBACK_TEXTS = ("outputs",)
_CALL = f"INSERT INTO calls ({', '.join((*_CALL_CELLS, *_CALL_TEXTS, 'version'))}) VALUES "  # noqa: S608
_FEEDBACK = f"INSERT INTO feedback ({', '.join((*_FEEDBACK_CELLS, *_FEEDBACK_TEXTS))}) VALUES "  # noqa: S608


class _Entry(Struct, gc=False):
    """A row that waits: its cells, and those that are JSON, in the order of the names above."""

    feedback: bool
    cells: tuple[Cell, ...]
    texts: tuple[str | None, ...]
    size: int
    """Characters, about."""
    cut: bool = False
    """Whether it was too large as it was."""


def _size(texts: Sequence[str | None]) -> int:
    return 200 + sum(len(text) for text in texts if text is not None)


class CallRecorder:
    """Writes the calls of one loaded program, and what is said of them, to a file. All methods may be called from any thread.

    Raises ConfigurationError where the file cannot be used.
    """

    def __init__(self, settings: RecordSettings, program: Runnable) -> None:
        open_to_write(settings.file).close()
        self.settings = settings
        self._names = settings.names
        self._name = settings.name
        self._inputs = frozenset(one.name for one in program.inputs)
        self._program = program
        self._version = ""
        self._told = float("-inf")
        self._file = _OpenFile(settings.file)
        self.renew()
        _recorders.add(self)

    def renew(self) -> object:
        """Begins anew, as a forked child has to: what waits is the parent's to write, and so is the file that it has open, which
        is returned."""
        before = self._file
        self._written = self._lost = self._withheld = self._cut = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._at_work = 0
        """Records that the writer has taken and not written yet."""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._file = _OpenFile(self.settings.file)
        return before

    @property
    def counts(self) -> RecordCounts:
        with self._lock:
            waiting = len(self._waiting) + self._at_work
            return RecordCounts(self._written, waiting, self._lost, self._withheld, self._cut)

    def add(self, record: CallRecord, paid: Spent) -> None:
        """Notes a call that is over, and what it `paid`. Never waits, and never raises."""
        if not self.settings.takes(record.id):
            return
        try:
            entry = self._entry(record, paid)
        except (ValueError, TypeError, RecursionError) as error:
            self._lose(1, f"a call has no JSON: {type(error).__name__}")
            return
        self._put(entry)

    def add_feedback(
        self, call_id: str, score: float | None, comment: str | None, outputs: Row | None
    ) -> None:
        """Notes what somebody said of a call. Never waits."""
        if not self.settings.takes(call_id):
            return
        if outputs is not None:
            outputs = {name: value for name, value in outputs.items() if name not in self._names}
        texts = (None if outputs is None else _json(outputs),)
        if comment is not None:
            comment = comment.encode(errors="replace").decode()
        entry = _Entry(True, (call_id, time.time(), score, comment), texts, _size((*texts, comment)))
        if entry.size > self.settings.max_record_bytes:
            self._lose(1, "a feedback is larger than `max_record_bytes`")
            return
        self._put(entry)

    def flush(self, seconds: float = _STOP_SECONDS) -> None:
        """Waits until what was noted is written, or so long, and lets go of the file."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    # On the caller's thread -----------------------------------------------------------------------------

    def _entry(self, record: CallRecord, paid: Spent) -> _Entry:
        # Each line of this costs every call, and beside the answers that a cache gives one can tell.
        settings, names, prediction = self.settings, self._names, record.prediction
        inputs, outputs, error = record.inputs, None, None
        if prediction is not None:
            outputs, usage = prediction.outputs, prediction.usage
            calls, replayed, trace = usage.calls, usage.replayed, prediction.trace
        else:
            calls, replayed, trace = paid.calls, 0, record.trace
        if record.error is not None:
            error = self._error(record.error)
        cells = (
            *(record.id, self._name or record.program, record.began, record.seconds, error, calls),
            *(replayed, paid.input_tokens, paid.output_tokens, paid.known_usd),
        )
        if names:
            inputs, outputs = self._shown(inputs), outputs and _without(outputs, names)
        given = _json(inputs)
        gave = None if outputs is None else _json(outputs)
        size, most = 200 + len(given) + len(gave or ""), settings.max_record_bytes
        cut = False
        if settings.trace and not names and size <= most:
            text = _json(trace)
            if size + len(text) <= most:
                return _Entry(False, cells, (given, gave, text), size + len(text))
            cut = True
        text = _json([_bare(step) for step in trace])
        size += len(text)
        if size > most:
            return _Entry(False, cells, (None, None, None), 200, True)
        return _Entry(False, cells, (given, gave, text), size, cut)

    def _error(self, error: DspecError) -> str:
        """An error as it is written: by its class alone where its words may hold what is kept back."""
        told = type(error).__name__
        if not self._names:
            told = f"{told}: {error.message[:_LONGEST_ERROR]}"
        return told.encode(errors="replace").decode()

    def _shown(self, inputs: Row) -> Row:
        """Inputs that may be written, where some may not: those that the program does not have may not either, since one of
        them under a misspelt name is still what is to be kept back."""
        return {name: value for name, value in inputs.items() if name in self._inputs - self._names}

    def _put(self, entry: _Entry) -> None:
        size = entry.size
        with self._lock:
            full = len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES
            if not full:
                self._waiting.append(entry)
                self._bytes += size
                self._cut += entry.cut
                if self._thread is None:
                    full = not self._start()
        if full:
            self._lose(1, "more calls end than can be written")

    def _start(self) -> bool:
        """Starts the writer; False where no thread can be started any more. The lock is held."""
        self._stop, self._file = threading.Event(), _OpenFile(self.settings.file)
        self._thread = threading.Thread(
            target=self._write_all, args=(self._stop, self._file), name="dspec-record", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends
            self._thread = None
            self._waiting.clear()
            self._bytes = 0
            return False
        _flush_at_end()
        return True

    def _lose(self, count: int, why: str) -> None:
        with self._lock:
            self._lost += count
            now = time.monotonic()
            told, lost = now - self._told < _SAY_AGAIN, self._lost
            if not told:
                self._told = now
        if not told:
            _LOG.warning(
                "%s: %d of what was to be recorded is lost so far: %s", self.settings.path, lost, why
            )

    # On the writer's thread -----------------------------------------------------------------------------

    def _write_all(self, stop: threading.Event, file: _OpenFile) -> None:
        idle = 0
        while True:
            stopping = stop.wait(GATHER)
            with self._lock:
                batch = list(self._waiting)
                self._waiting.clear()
                self._bytes = 0
                self._at_work = len(batch)
                idle = 0 if batch else idle + 1
                ends = not batch and (stopping or idle >= _IDLE)
                if ends:
                    self._thread = None
            if ends:
                file.close()
                return
            if batch:
                self._write(batch, file)

    def _write(self, batch: Sequence[_Entry], file: _OpenFile) -> None:
        rows: tuple[list[Sequence[Cell]], list[Sequence[Cell]]] = ([], [])
        for entry in batch:
            cells = self._cells(entry)
            if cells is not None:
                rows[entry.feedback].append(cells)
        try:
            if rows[False] or rows[True]:
                _commit(file.opened(), self.settings, *rows)
        except (OSError, ConfigurationError, *UNREADABLE) as error:
            known = error if isinstance(error, ConfigurationError) else unusable(self.settings.file, error)
            file.close()
            self._lose(len(rows[False]) + len(rows[True]), known.message)
        else:
            self._written += len(rows[False]) + len(rows[True])
        with self._lock:
            self._at_work = 0

    def _cells(self, entry: _Entry) -> Sequence[Cell] | None:
        """The row of an entry, after redaction; None where there is to be none."""
        function = self.settings.function
        if function is not None:
            try:
                entry = _redacted(entry, self.settings)
            except _Withheld:
                with self._lock:
                    self._withheld += 1
                return None
            except Exception as error:  # noqa: BLE001 - whatever a function does, nothing is written that it was to see
                self._lose(1, f"`redact` failed: {type(error).__name__}")
                return None
        if entry.feedback:
            return (*entry.cells, *entry.texts)
        if not self._version:
            self._version = digest(self._program)[:16]
        return (*entry.cells, *entry.texts, self._version)


class _OpenFile:
    """The file as one writer has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def opened(self) -> sqlite3.Connection:
        """The connection; a new one where the file was moved away or removed since. Raises ConfigurationError, OSError."""
        if self._connection is not None and self._inode != self._there():
            self.close()
        if self._connection is None:
            self._connection = open_to_write(self._path)
            self._inode = self._there()
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _there(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _commit(
    database: sqlite3.Connection,
    settings: RecordSettings,
    calls: Sequence[Sequence[Cell]],
    feedback: Sequence[Sequence[Cell]],
) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        _insert(database, _CALL, calls)
        _insert(database, _FEEDBACK, feedback)
        _trim(database, settings)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite itself rolls back after some errors
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        raise


def _insert(database: sqlite3.Connection, into: str, rows: Sequence[Sequence[Cell]]) -> None:
    """Inserts the rows in their order, many by one statement: each statement takes the interpreter from the application's
    threads and gives it back, which costs both more than a row does."""
    begin = 0
    for many in _AT_ONCE:
        while len(rows) - begin >= many:
            some = rows[begin : begin + many]
            place = f"({','.join('?' * len(some[0]))})"
            database.execute(into + ",".join([place] * many), list(chain.from_iterable(some)))
            begin += many


class _Withheld(Exception):
    """The function says that nothing is to be written."""


def _redacted(entry: _Entry, settings: RecordSettings) -> _Entry:
    """The entry as the function leaves it. Raises _Withheld, and whatever the function raises."""
    assert settings.function is not None
    names, texts = (_FEEDBACK_CELLS, _FEEDBACK_TEXTS) if entry.feedback else (_CALL_CELLS, _CALL_TEXTS)
    record: dict[str, JsonValue] = {"kind": "feedback" if entry.feedback else "call"}
    record.update(zip(names, entry.cells, strict=True))
    for name, text in zip(texts, entry.texts, strict=True):
        record[name] = None if text is None else read_compact(text)
    own = "comment" if entry.feedback else "error"
    left = redacted(settings.function, record, (*texts, own))
    if left is None:
        raise _Withheld
    kept = tuple(None if left[name] is None else _json(left[name]) for name in texts)
    said = None if left[own] is None else str(left[own])
    cells = tuple(said if name == own else cell for name, cell in zip(names, entry.cells, strict=True))
    size = _size(kept)
    if size > settings.max_record_bytes:
        kept = (None,) * len(kept)
    return _Entry(entry.feedback, cells, kept, size)


def _trim(database: sqlite3.Connection, settings: RecordSettings) -> None:
    """Makes the oldest leave where there is more than may be."""
    while True:
        (first,) = database.execute("SELECT min(seq) FROM calls").fetchone()
        (last,) = database.execute("SELECT max(seq) FROM calls").fetchone()
        rows = 0 if first is None else last - first + 1
        keep = rows
        if settings.max_rows is not None and rows > settings.max_rows:
            keep = max(1, int(settings.max_rows * _SPARE))
        used = _used(database)
        if used > settings.max_bytes:
            keep = min(keep, int(rows * _SPARE * settings.max_bytes / used))
        if keep == rows and (rows or used <= settings.max_bytes):
            return
        if rows:
            database.execute("DELETE FROM calls WHERE seq <= ?", (last - keep,))
        # What was said before the oldest call that is left was said of calls that are gone.
        oldest = database.execute("SELECT began FROM calls ORDER BY seq LIMIT 1").fetchone()
        found = (
            oldest
            and database.execute(
                "SELECT seq FROM feedback WHERE at >= ? ORDER BY seq LIMIT 1", oldest
            ).fetchone()
        )
        if found:
            database.execute("DELETE FROM feedback WHERE seq < ?", found)
        else:
            database.execute("DELETE FROM feedback")


def _used(database: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    (pages,), (free,), (size,) = (
        database.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _without(row: Row, names: frozenset[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names} if names else row


def _bare(step: TraceStep) -> dict[str, JsonValue]:
    """A step of a trace without what anybody wrote."""
    return {
        "step": step.step,
        "predictor": step.predictor,
        "tool": step.tool,
        "attempts": step.attempts,
        "dropped": step.dropped,
        "began": step.began,
        "seconds": step.seconds,
        "reward": step.reward,
        "calls": [_bare_call(call) for call in step.calls],
    }


def _bare_call(call: ModelCall) -> JsonValue:
    return {
        "lm": call.lm,
        "model": call.model,
        "source": call.source,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cost": call.cost,
        "began": call.began,
        "seconds": call.seconds,
        "finish_reason": call.finish_reason,
    }


_encoder = msgspec.json.Encoder()


def _json(value: object) -> str:
    """A value as JSON. What is no number is null, half of a surrogate pair a question mark. Raises ValueError."""
    try:
        # A sixth of the time that Pydantic takes for a trace.
        return _encoder.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        plain = json.dumps(cast("JsonValue", json.loads(compact(value))), ensure_ascii=False)
        return plain.encode(errors="replace").decode()


# Processes ----------------------------------------------------------------------------------------------

_recorders: WeakSet[CallRecorder] = WeakSet()
_inherited: list[object] = []
"""Files of a parent, which a child must neither use nor close."""
_ending_in = 0
"""The process that flushes as a child of `multiprocessing` ends, which leaves without what `atexit` has."""


@atexit.register
def _flush_all() -> None:
    for recorder in list(_recorders):
        recorder.flush()


def _flush_at_end() -> None:
    global _ending_in
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is None or util is None or process.parent_process() is None or _ending_in == os.getpid():
        return
    _ending_in = os.getpid()
    util.Finalize(None, _flush_all, exitpriority=10)


def _renew_all() -> None:
    _inherited.extend(recorder.renew() for recorder in list(_recorders))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
