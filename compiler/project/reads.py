"""A journal of what a check looked at, so that its result can be told from a stale one.

Every place in the front end that touches the file system says so here: a file that is read or missed,
a folder whose names are looked through for a suggestion. While no journal is kept that costs nothing.
What is written down is the state from before the look, so a file that changes meanwhile counts as
changed. This module imports nothing heavy and opens regular files only.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

HASHED = (".dspec", ".py", ".toml")
"""Endings of files that are told by their content. Others may be huge: size and time of change."""
_MAX_HASHED = 16 << 20

_journal: ContextVar[dict[str, str] | None] = ContextVar("journal", default=None)


@contextmanager
def journal() -> Generator[dict[str, str]]:
    """What is looked at within: paths (of folders with a `/` at the end) and their stamps."""
    found: dict[str, str] = {}
    token = _journal.set(found)
    try:
        yield found
    finally:
        _journal.reset(token)


def looked_at(path: Path) -> None:
    """Say that what is at `path`, or that nothing is, matters to the result."""
    found = _journal.get()
    if found is not None and (name := os.path.abspath(path)) not in found:  # noqa: PTH100 - keeps links
        found[name] = stamp(name)


def looked_at_before(files: Mapping[str, str]) -> None:
    """Say that what somebody else looked at matters to the result, by the stamps that it had then."""
    found = _journal.get()
    if found is not None:
        found.update({name: was for name, was in files.items() if name not in found})


def listed(folder: Path) -> None:
    """Say that the names in `folder` matter to the result."""
    found = _journal.get()
    if found is not None and (name := os.path.abspath(folder) + "/") not in found:  # noqa: PTH100
        found[name] = stamp(name)


def stamp(name: str) -> str:
    """A text that is another one when what is there has changed. Never raises, never blocks."""
    try:
        if name.endswith("/"):
            with os.scandir(name) as entries:
                names = sorted(entry.name for entry in entries if entry.name != ".dspec")
            return "names " + hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()
        real = os.path.realpath(name)
        status = os.stat(real)  # noqa: PTH116 - a Path for each of hundreds costs more than the look
        if not stat.S_ISREG(status.st_mode):
            return f"mode {status.st_mode} {real}"
        # What a link leads to may lie outside the project, where nothing is read.
        if name.endswith(HASHED) and real == name and status.st_size <= _MAX_HASHED:
            return f"text {_digest(real)} {status.st_mode} {real}"
        return f"file {status.st_size} {status.st_mtime_ns} {status.st_ino} {status.st_mode} {real}"
    except FileNotFoundError:
        return "absent"
    except (OSError, ValueError) as error:
        return f"failed {type(error).__name__} {getattr(error, 'errno', None)}"


def _digest(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "other"
        return hashlib.sha256(stream.read(_MAX_HASHED + 1)).hexdigest()
