"""Files that outlive the version that wrote them: SQLite schemas, brought up to date when they are opened.

A schema's history is a list of steps; the file's `user_version` counts those it has been through. What is
missing is done in one transaction under SQLite's own lock, so that a crash leaves the file as it was, and of two
processes that open an older file at once, one does the work and the other finds it done. A step is never
changed once it was published: the next version is a further step.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Literal

Step = Callable[[sqlite3.Connection], None]
"""From one version to the next. It runs inside the transaction and does not end it."""


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises over a damaged file: words of its own that are no text among it."""


_DAMAGED = ("not a database", "malformed", "damaged", "corrupt", "no such", "decode")
_FULL = ("full", "No space", "too large", "quota", "I/O error")
"""Of a quota, of a limit on files, and of some files on a full disk SQLite says "disk I/O error" alone."""


def trouble(text: str) -> Literal["damaged", "full", "locked", "other"]:
    """What SQLite or the system says of a file that it cannot use, by what can be done about it."""
    if any(word in text for word in _DAMAGED):
        return "damaged"
    if any(word in text for word in _FULL):
        return "full"
    return "locked" if "locked" in text else "other"


class NewerSchema(Exception):
    """The file was written by a version that knows more steps."""


class ForeignFile(Exception):
    """The file is a database, and somebody else's."""


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Puts the file behind `connection` into WAL mode. Switching does not wait for others by itself: this does, so long.

    Raises sqlite3.Error.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def upgrade(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Brings the file behind `connection` to the version after the last step; nothing to do costs one read.

    Raises NewerSchema for a later one, sqlite3.Error, and what a step raises, all with the file unchanged.
    """
    if _version(connection) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may have been here since
        if version > len(steps):
            raise NewerSchema
        for step in steps[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back after some errors
            connection.execute("ROLLBACK")
        raise


def tables(connection: sqlite3.Connection) -> frozenset[str]:
    """The names of the tables in the file."""
    return frozenset(
        str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
