"""Every paid answer, on disk before anyone uses it.

One SQLite file in WAL mode, shared by the tasks of a process and by processes. A row is the digest of
a request's identity and the answer as JSON; neither the request nor an endpoint nor a key is stored.
Rows are untrusted: a body that does not match its digest is a miss, never an answer. The first answer
to a request wins for good: whoever asked twice at once gets the stored one, so that a rerun replays
exactly what was used.

An answer that nothing could be read out of is kept for the account and is no truth: a server may have been mended since. So it
is replayed within one attempt at a piece of work, however often that is stopped and run again, and for nobody else: an
attempt that was begun after one that ended asks again, and the new answer takes its place. Each attempt has a number. The one
that is open under a name goes on until somebody ends it; without one, as in an application, such answers are never replayed.

What a model was found not to take is kept as well, under a digest of its endpoint.

`synchronous=NORMAL` in WAL mode survives the death of the process at any moment; a power cut may lose
the last answers but never the file. Writes go through one thread that commits whatever has queued up
as one statement, so that a slow disk never stops the event loop and a commit is shared under load.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from msgspec import Struct

from ..errors import ConfigurationError
from ..schema.types import JsonValue
from ..schema.usage import Usage
from .compact import compact, read_compact
from .protocol import Answer, ToolCall
from .upgrades import UNREADABLE, ForeignFile, NewerSchema, Step, tables, trouble, upgrade, write_ahead

_BUSY_SECONDS = 30.0
_BATCH = 200


def _create(connection: sqlite3.Connection) -> None:
    if tables(connection):
        raise ForeignFile
    connection.execute(
        """
        CREATE TABLE answers (
            key BLOB PRIMARY KEY,
            body TEXT NOT NULL,
            seal BLOB NOT NULL,
            model TEXT NOT NULL,
            written INTEGER NOT NULL
        )
        """
    )


def _know_unusable(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE answers ADD COLUMN unusable INTEGER")
    connection.execute("CREATE TABLE attempts (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)")


def _know_refused(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE refused (endpoint BLOB NOT NULL, parameter TEXT NOT NULL, model TEXT NOT NULL, "
        "PRIMARY KEY (endpoint, parameter)) WITHOUT ROWID"
    )


STEPS: tuple[Step, ...] = (_create, _know_unusable, _know_refused)
"""What led to the schema as it is now (`upgrades`)."""


class _Entry(Struct, frozen=True):
    key: bytes
    answer: Answer
    body: str
    model: str
    done: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop


class _Unusable(Struct, frozen=True):
    """An answer that turned out to be of no use in an attempt."""

    key: bytes
    attempt: int


class _Refused(Struct, frozen=True):
    """A parameter that a model at an endpoint does not take."""

    endpoint: bytes
    model: str
    parameter: str


_Queued = _Entry | _Unusable | _Refused


class Ledger:
    """The answers in the file at `path`, which is made if it is missing.

    Raises ConfigurationError when the directory cannot be written, the file is not a ledger, or it was
    written by a newer version. `get` is called from the event loop, `put` awaited there; `close` waits
    until everything queued is on disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Rows that were found not to match their digest, and treated as missing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._reader = open_database(path)
            try:
                _prepare(self._reader, path)
                self._writer = open_database(path)
            except BaseException:
                self._reader.close()
                raise
        except (OSError, *UNREADABLE) as error:
            raise unusable(path, error) from error
        self._attempt = 0
        """The attempt that is under way; 0, which no attempt has, for none."""
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._beside: sqlite3.Connection | None = None
        """For threads other than the event loop's, one at a time."""
        self._beside_lock = threading.Lock()

    def get(self, key: bytes) -> Answer | None:
        """The stored answer, or None if there is none that can be trusted."""
        return self._read(self._reader, key)

    def get_all(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The stored answers under these keys, a few hundred at most, in one query. Raises ConfigurationError."""
        return self._read_all(self._reader, keys)

    def get_all_beside(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The same, from any thread; none once the ledger is closed. Raises ConfigurationError."""
        with self._beside_lock:
            if self._closed:
                return {}
            if self._beside is None:
                self._beside = open_database(self.path)
            return self._read_all(self._beside, keys)

    async def put(self, key: bytes, model: str, answer: Answer) -> Answer:
        """Returns when the answer is on disk: `answer`, or the one that was there before it.

        Raises ConfigurationError when it cannot be written. Cancelling the caller does not undo the write.
        """
        if self._closed:
            raise ConfigurationError(f"the ledger {self.path} is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._enqueue(_Entry(key, answer, dump(answer), model, done, loop))
        return await done

    def begin(self, name: str) -> None:
        """Goes on with the attempt that is open under this name, or opens one. Raises ConfigurationError."""
        # Bytes, since a name may hold that of a folder, which on POSIX need not be text.
        key = name.encode(errors="surrogatepass")
        try:
            self._reader.execute("INSERT INTO attempts (name) VALUES (?) ON CONFLICT DO NOTHING", (key,))
            found = self._reader.execute("SELECT number FROM attempts WHERE name = ?", (key,)).fetchone()
        except UNREADABLE as error:
            raise unusable(self.path, error) from error
        self._attempt = int(found[0])

    def end(self) -> None:
        """Ends the attempt under way: the next one under its name is another. Raises ConfigurationError."""
        try:
            self._reader.execute("DELETE FROM attempts WHERE number = ?", (self._attempt,))
        except UNREADABLE as error:
            raise unusable(self.path, error) from error

    def set_aside(self, key: bytes) -> None:
        """Notes that nothing could be read out of the answer. It is written in time, or not at all where the process dies
        before: then it is read again, and found to be so again."""
        if not self._closed:
            self._enqueue(_Unusable(key, self._attempt))

    def refused(self, endpoint: bytes) -> set[str]:
        """Parameters that the model at an endpoint was found not to take; none where that cannot be read."""
        with contextlib.suppress(*UNREADABLE):
            rows = self._reader.execute("SELECT parameter FROM refused WHERE endpoint = ?", (endpoint,))
            return {name for (name,) in rows if isinstance(name, str)}
        return set()

    def refuses(self, endpoint: bytes, model: str, parameter: str) -> None:
        """Notes a parameter that the model does not take. It is written in time, or found out again."""
        if not self._closed:
            self._enqueue(_Refused(endpoint, model, parameter))

    def _enqueue(self, entry: _Queued) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="dspec-ledger", daemon=True)
            self._thread.start()
        self._queue.put(entry)

    def count(self) -> int:
        """How many answers are stored."""
        try:
            return int(self._reader.execute("SELECT count(*) FROM answers").fetchone()[0])
        except UNREADABLE as error:
            raise unusable(self.path, error) from error

    def close(self) -> None:
        if self._closed:
            return
        with self._beside_lock:
            self._closed = True
            if self._beside is not None:
                self._beside.close()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, connection: sqlite3.Connection, key: bytes) -> Answer | None:
        return self._read_all(connection, (key,)).get(key)

    def _read_all(self, connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, body, seal FROM answers WHERE key IN ({marks}) AND (unusable IS NULL OR unusable = ?)"  # noqa: S608
        try:
            rows = connection.execute(query, (*keys, self._attempt or None)).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error).lower():
                raise unusable(self.path, error) from error
            if len(keys) > 1:  # it is one of them, and the others are sound
                return {key: answer for key in keys if (answer := self._read(connection, key)) is not None}
            rows = [(keys[0], None, None)]
        found: dict[bytes, Answer] = {}
        for key, body, sealed in rows:
            if isinstance(body, str) and sealed == seal(key, body):
                found[key] = load(body)
            else:
                self.damaged += 1
        return found

    def _write_all(self) -> None:
        more = True
        while more:
            batch: list[_Queued] = []
            entry = self._queue.get()
            while entry is not None:
                batch.append(entry)
                if len(batch) == _BATCH or self._queue.empty():
                    break
                entry = self._queue.get()
            more = entry is not None
            self._set_aside([entry for entry in batch if isinstance(entry, _Unusable)])
            self._note_refused([entry for entry in batch if isinstance(entry, _Refused)])
            if answers := [entry for entry in batch if isinstance(entry, _Entry)]:
                self._write(answers)

    def _set_aside(self, batch: list[_Unusable]) -> None:
        rows = [(entry.attempt, entry.key) for entry in batch]
        with contextlib.suppress(*UNREADABLE):  # what matters more is found out by what is written next
            self._writer.executemany("UPDATE answers SET unusable = ? WHERE key = ?", rows)

    def _note_refused(self, batch: list[_Refused]) -> None:
        rows = [(entry.endpoint, entry.parameter, entry.model) for entry in batch]
        with contextlib.suppress(*UNREADABLE):
            self._writer.executemany(
                "INSERT INTO refused (endpoint, parameter, model) VALUES (?,?,?) ON CONFLICT DO NOTHING", rows
            )

    def _write(self, batch: list[_Entry]) -> None:
        outcomes: list[Answer | Exception | None]
        try:
            outcomes = list(self._commit(batch))
        except (*UNREADABLE, ConfigurationError) as error:
            problem = error if isinstance(error, ConfigurationError) else unusable(self.path, error)
            outcomes = [problem] * len(batch)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Entry, Answer | Exception | None]]] = {}
        for entry, outcome in zip(batch, outcomes, strict=True):
            by_loop.setdefault(entry.loop, []).append((entry, outcome))
        for loop, settled in by_loop.items():
            _call_in(loop, lambda settled=settled: _settle(settled))

    def _commit(self, batch: list[_Entry]) -> list[Answer | None]:
        """Stores the batch; per entry, the older answer that stands instead of it, if any."""
        now = int(time.time())
        values: list[bytes | str | int] = []
        for entry in batch:
            values += (entry.key, entry.body, seal(entry.key, entry.body), entry.model, now)
        # one statement is one transaction and one release of the interpreter lock
        rows = ",".join(["(?,?,?,?,?)"] * len(batch))
        stored = self._writer.execute(
            f"INSERT INTO answers (key, body, seal, model, written) VALUES {rows} ON CONFLICT DO NOTHING",  # noqa: S608
            values,
        ).rowcount
        if stored == len(batch):
            return [None] * len(batch)
        return [self._stand_by_the_first(entry, now) for entry in batch]

    def _stand_by_the_first(self, entry: _Entry, now: int) -> Answer:
        older = self._read(self._writer, entry.key)
        if older is not None:
            return older
        self._writer.execute(
            "INSERT OR REPLACE INTO answers (key, body, seal, model, written) VALUES (?,?,?,?,?)",
            (entry.key, entry.body, seal(entry.key, entry.body), entry.model, now),
        )
        return entry.answer


def open_database(path: Path) -> sqlite3.Connection:
    """A connection of its own to a ledger that exists. Every statement is a transaction. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """WAL mode and the schema. Two processes may do this at once on a new file."""
    write_ahead(connection, _BUSY_SECONDS)
    try:
        upgrade(connection, STEPS)
    except NewerSchema:
        raise ConfigurationError(
            f"the ledger {path} was written by a newer version of dspec",
            help="update dspec, or choose another state directory",
        ) from None
    except ForeignFile:
        raise ConfigurationError(
            f"{path} is an SQLite file, but not a ledger", help="choose another state directory"
        ) from None


def unusable(path: Path, error: Exception) -> ConfigurationError:
    """What to tell the user about an error of SQLite's."""
    text = "it is damaged" if isinstance(error, UnicodeDecodeError) else str(error)
    match trouble(text):
        case "damaged":
            advice = f"move {path.name} and its -wal and -shm files away; answers in them will be asked again"
        case "full":
            advice = "make room on the disk, within quotas and limits; what was answered before is kept"
        case "locked":
            advice = "another process holds it; wait for it, or choose another state directory"
        case "other":
            advice = f"make {path.parent} writable, or choose another state directory"
    return ConfigurationError(f"cannot use the ledger {path}: {text}", help=advice)


def _settle(settled: list[tuple[_Entry, Answer | Exception | None]]) -> None:
    for entry, outcome in settled:
        if entry.done.done():
            continue
        if isinstance(outcome, Exception):
            entry.done.set_exception(outcome)
        else:
            entry.done.set_result(outcome or entry.answer)


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return  # the loop is gone, and with it whoever waited; the rows are on disk


def seal(key: bytes, body: str) -> bytes:
    """What binds a body to its key, so that a damaged row is seen to be one."""
    return hashlib.sha256(key + body.encode()).digest()


def dump(answer: Answer) -> str:
    """An answer as a row's body holds it."""
    usage = answer.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.estimated)
    more: list[JsonValue] = []
    if answer.calls or answer.reasoning:
        more.append([[call.name, call.arguments] for call in answer.calls])
    if answer.reasoning:
        more.append(answer.reasoning)
    return compact([answer.text, *counts, answer.cost, answer.finish_reason, *more]).decode()


def load(body: str) -> Answer:
    """Reads what `dump` wrote; the seal vouches for its shape."""
    text, input_tokens, output_tokens, estimated, cost, finish_reason, *more = cast(
        "tuple[str, int, int, bool, float | None, str, list[list[str]], str]", read_compact(body)
    )
    usage = Usage(input_tokens, output_tokens, estimated)
    if not more:
        return Answer(text, usage, cost, finish_reason)
    calls = tuple(ToolCall(name, arguments) for name, arguments in cast("list[list[str]]", more[0]))
    thought = cast("str", more[1]) if len(more) > 1 else ""
    return Answer(text, usage, cost, finish_reason, calls, thought)
