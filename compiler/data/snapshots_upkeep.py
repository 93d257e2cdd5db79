"""Looking after fetched rows: what is kept of them, and dropping some of it.

What lies in the folder is input: links are not followed, and a note that does not fit its shape has no rows.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from msgspec import Struct, field
from pydantic import ValidationError

from ..project.state import rows_folder
from .problem import DataError
from .snapshots import FILE, NOTE, noted

_DAY = 86_400


class KeptRows(Struct, frozen=True):
    """`sources` are those with rows; `bytes` are of all files. Times are seconds since 1970, None where it is empty."""

    sources: int
    rows: int
    bytes: int
    oldest: int | None
    newest: int | None


class _Kept(Struct):
    """The files of one key, and their times and sizes; the note is what makes them a snapshot."""

    files: dict[str, os.stat_result] = field(default_factory=dict[str, os.stat_result])

    @property
    def written(self) -> int:
        return int(max(status.st_mtime for status in self.files.values()))

    @property
    def bytes(self) -> int:
        return sum(status.st_size for status in self.files.values())


def contents(root: Path) -> KeptRows:
    """What is kept in the project."""
    kept = _kept(root)
    rows = [count for key in kept if (count := _rows(key, root)) is not None]
    times = [one.written for one in kept.values()]
    return KeptRows(
        len(rows),
        sum(rows),
        sum(one.bytes for one in kept.values()),
        min(times, default=None),
        max(times, default=None),
    )


def prune(root: Path, *, older_than_days: float | None = None) -> int:
    """Drops the rows that are as old as given, all without; the number of sources.

    The note goes first: there is never half a snapshot. Raises OSError when one cannot be removed.
    """
    before = None if older_than_days is None else int(time.time() - older_than_days * _DAY)
    dropped = 0
    for key, one in _kept(root).items():
        if before is not None and one.written >= before:
            continue
        dropped += _rows(key, root) is not None
        for name in sorted(one.files, key=lambda name: not NOTE.fullmatch(name)):
            (rows_folder(root) / name).unlink(missing_ok=True)
    return dropped


def _rows(key: str, root: Path) -> int | None:
    """How many rows a snapshot has; None where the files are none."""
    try:
        return noted(key, root).rows
    except (ValidationError, DataError):
        return None


def _kept(root: Path) -> dict[str, _Kept]:
    """By key."""
    found: dict[str, _Kept] = {}
    try:
        with os.scandir(rows_folder(root)) as entries:
            for entry in entries:
                if not (NOTE.fullmatch(entry.name) or FILE.fullmatch(entry.name)):
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found.setdefault(entry.name[:32], _Kept()).files[entry.name] = status
    except OSError:
        return found  # none, or gone while we looked
    return found
