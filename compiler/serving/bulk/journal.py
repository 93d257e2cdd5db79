"""What became of each row, written as soon as it is known, in the order in which rows are answered.

One file that only grows. A line is whole or it is the last one, which a killed process may have left half written: that is
cut off when the file is opened again. Where a row's line stands is kept in memory, eight bytes a row, so that the answers can
be read in the rows' order without holding them. Of several lines about a row the last counts.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from msgspec import Struct

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.compact import compact
from dspec.runtime.schema.types import JsonValue

AT_ONCE = 65_536
"""Rows that are under way at most: no line is about a row that is further than that from those before."""
_NOTHING = -1


class RowAnswer(Struct, frozen=True):
    """A row's outputs in their declared order, or why it has none."""

    outputs: Sequence[JsonValue] = ()
    failure: str = ""


class RowJournal:
    """The lines in the file at `path`, which is made if it is missing. Raises ConfigurationError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answered = self.failed = 0
        """Rows, not lines."""
        self._places = array("q")
        """Where each row's line begins."""
        self._failures = bytearray()
        """For each row, whether that line says that it failed."""
        self._end = 0
        try:
            # Unbuffered: what was written survives this process.
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._recall()
        except BaseException:
            self._file.close()
            raise

    def _recall(self) -> None:
        try:
            with self.path.open("rb") as file:
                for line in file:
                    found = _parsed(line)
                    if found is None or found[0] > len(self._places) + AT_ONCE:
                        break
                    self._note(found[0], self._end, failed=bool(found[1].failure))
                    self._end += len(line)
            # The torn end of a process that was killed, or whatever a power cut left.
            self._file.truncate(self._end)
        except OSError as error:
            raise self._unusable(error) from error

    def is_answered(self, row: int) -> bool:
        """Whether the row has outputs."""
        return self._has(row) and not self._failures[row]

    def add(self, row: int, answer: RowAnswer) -> None:
        """Returns when the line is with the kernel: it outlives this process. Raises ConfigurationError."""
        told: list[JsonValue] = [row, answer.failure or list(answer.outputs)]
        line = compact(told) + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            self._file.truncate(self._end)
            raise self._unusable(error) from error
        if written != len(line):
            self._file.truncate(self._end)
            raise self._unusable(OSError(28, "no room left"))
        self._note(row, self._end, failed=bool(answer.failure))
        self._end += len(line)

    def reader(self) -> RowJournalReader:
        return RowJournalReader(self.path, self._places)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RowJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has(self, row: int) -> bool:
        return row < len(self._places) and self._places[row] != _NOTHING

    def _note(self, row: int, place: int, *, failed: bool) -> None:
        missing = row + 1 - len(self._places)
        if missing > 0:
            self._places.extend([_NOTHING] * missing)
            self._failures.extend(bytes(missing))
        if self._places[row] != _NOTHING:
            if self._failures[row]:
                self.failed -= 1
            else:
                self.answered -= 1
        self._places[row] = place
        self._failures[row] = failed
        if failed:
            self.failed += 1
        else:
            self.answered += 1

    def _unusable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} cannot be used: {error.strerror or error}",
            help="make room and make it writable, then run the same command again: it goes on",
        )


class RowJournalReader:
    """Reads what became of rows. For one thread; opens the file by itself."""

    def __init__(self, path: Path, places: Sequence[int]) -> None:
        self._file = path.open("rb")
        self._places = places

    def of(self, row: int) -> RowAnswer | None:
        """What became of a row; None where nothing is known."""
        place = self._places[row] if row < len(self._places) else _NOTHING
        if place == _NOTHING:
            return None
        self._file.seek(place)
        found = _parsed(self._file.readline())
        return None if found is None or found[0] != row else found[1]

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RowJournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parsed(line: bytes) -> tuple[int, RowAnswer] | None:
    """A line's row and what became of it; None for what is no whole line."""
    if not line.endswith(b"\n"):
        return None
    try:
        told: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, list) or len(cast("list[object]", told)) != 2:
        return None
    row, what = cast("list[object]", told)
    if isinstance(row, bool) or not isinstance(row, int) or row < 0:
        return None
    if isinstance(what, str):
        return row, RowAnswer(failure=what or "?")
    return (row, RowAnswer(cast("list[JsonValue]", what))) if isinstance(what, list) else None
