"""The file that calls are recorded in: one SQLite file in WAL mode, shared by threads and processes.

A call is a row of `calls`, and what somebody said of it later rows of `feedback`, known by the call's id. Both are only ever
added at the end, and leave from the start: so a row costs no search, and how many there are is a difference of two numbers.

The file holds what people wrote, so nobody but its owner may read it. A file that exists is looked at before anything is
written: one of another program is never touched.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ...errors import ConfigurationError
from ...models.upgrades import (
    UNREADABLE,
    ForeignFile,
    NewerSchema,
    Step,
    tables,
    trouble,
    upgrade,
    write_ahead,
)

APPLICATION = 0x64737063
"""What `PRAGMA application_id` says of such a file: nothing else has that number."""
WAL = "-wal"
"""Ends the name of the file beside it that has what was written last."""
_BUSY_SECONDS = 5.0


TABLES = {
    "calls": """
        CREATE TABLE calls (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL,
            program TEXT NOT NULL,
            version TEXT NOT NULL,
            began REAL NOT NULL,
            seconds REAL NOT NULL,
            inputs TEXT,
            outputs TEXT,
            error TEXT,
            calls INTEGER NOT NULL,
            replayed INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            usd REAL,
            trace TEXT
        )
        """.strip(),
    "feedback": """
        CREATE TABLE feedback (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL,
            at REAL NOT NULL,
            score REAL,
            comment TEXT,
            outputs TEXT
        )
        """.strip(),
}
"""The tables, each with the text that made it."""


def _create(connection: sqlite3.Connection) -> None:
    if tables(connection):
        raise ForeignFile
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    for text in TABLES.values():
        connection.execute(text)


STEPS: tuple[Step, ...] = (_create,)
"""What led to the schema as it is now (`upgrades`)."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if it is missing. Statements are transactions of their own. Raises
    ConfigurationError."""
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    except NewerSchema:
        raise ConfigurationError(
            f"{path} was recorded by a newer version of dspec", help="update dspec, or record to another file"
        ) from None
    except ForeignFile:
        raise ConfigurationError(
            f"{path} is an SQLite file, but none of recorded calls", help="record to another file"
        ) from None
    except (OSError, *UNREADABLE) as error:
        raise unusable(path, error) from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """The schema, and WAL mode. Two processes may do this at once on a new file."""
    if is_foreign(connection):
        raise ForeignFile
    write_ahead(connection, _BUSY_SECONDS)
    connection.execute("PRAGMA synchronous = NORMAL")
    upgrade(connection, STEPS)
    connection.execute("BEGIN IMMEDIATE")  # a file that nobody may write is found out here
    connection.execute("ROLLBACK")


def is_foreign(connection: sqlite3.Connection) -> bool:
    """Whether the file is a database of another program. Raises sqlite3.Error for one that is none at all."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    return found != APPLICATION and bool(tables(connection))


def unusable(path: Path, error: Exception) -> ConfigurationError:
    """What to tell about an error of SQLite's or the system's."""
    text = "it is damaged" if isinstance(error, UnicodeDecodeError) else str(error)
    if isinstance(error, OSError):
        text = error.strerror or text
    match trouble(text):
        case "damaged":
            advice = f"move {path.name} and its {WAL} and -shm files away, or record to another file"
        case "full":
            advice = "make room on the disk, within quotas and limits"
        case "locked":
            advice = "another process holds it; wait for it, or record to another file"
        case "other":
            advice = f"make {path} a file that can be written, or record to another one"
    return ConfigurationError(f"calls cannot be recorded to {path}: {text}", help=advice)
