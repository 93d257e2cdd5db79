"""A ledger that is only read: what was answered, for whoever looks back and asks nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigurationError
from .ledger import Ledger, load, seal, unusable
from .protocol import Answer
from .upgrades import UNREADABLE


class LedgerReader(Ledger):
    """The answers in the file at `path`, which is not changed; none where there is no file.

    With `spoiled`, those that could not be read are among them, which a command would ask for again. Raises
    ConfigurationError for a file that cannot be opened. What does not belong to its key is missing.
    """

    def __init__(self, path: Path, *, spoiled: bool = True) -> None:  # it has no writer, and makes no file
        self.path = path
        self.damaged = 0
        self._spoiled = spoiled
        self._database: sqlite3.Connection | None = None
        self._closed = False
        if path.is_file():
            try:
                self._database = sqlite3.connect(
                    f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0, check_same_thread=False
                )
                names = self._database.execute("SELECT name FROM pragma_table_info('answers')").fetchall()
            except UNREADABLE as error:
                raise unusable(path, error) from error
            # Before there was that column, no answer was set aside.
            self._spoiled = spoiled or ("unusable",) not in names

    def get(self, key: bytes) -> Answer | None:
        if self._database is None:
            return None
        only = "" if self._spoiled else " AND unusable IS NULL"
        try:
            found = self._database.execute(f"SELECT body, seal FROM answers WHERE key = ?{only}", (key,))  # noqa: S608
            row: tuple[object, object] | None = found.fetchone()
        except UNREADABLE:
            row = (None, None)
        if row is None:
            return None
        body, sealed = row
        if isinstance(body, str) and sealed == seal(key, body):
            return load(body)
        self.damaged += 1
        return None

    def get_all(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        return {key: answer for key in keys if (answer := self.get(key)) is not None}

    def get_all_beside(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        return self.get_all(keys)

    async def put(self, key: bytes, model: str, answer: Answer) -> Answer:
        raise ConfigurationError(f"the ledger {self.path} is only read here")

    def begin(self, name: str) -> None:
        return

    def end(self) -> None:
        return

    def set_aside(self, key: bytes) -> None:
        return

    def refused(self, endpoint: bytes) -> set[str]:
        return set()

    def refuses(self, endpoint: bytes, model: str, parameter: str) -> None:
        return

    def close(self) -> None:
        self._closed = True
        if self._database is not None:
            self._database.close()
            self._database = None
