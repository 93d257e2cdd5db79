"""Remembered results of looking at data files, so that checking an unchanged project reads none.

One small JSON text per result, named by everything that determines it: the file's real place, size
and time of change, and the question asked. Entries may vanish or be damaged at any time; whoever
recalls one must check it. Nothing here raises.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dspec.runtime.program import digest
from dspec.runtime.types import JsonValue

from .. import ir
from .opening import resolve_inside
from .problem import DataError

VERSION = 1
"""Raise when a result's meaning changes."""

_MAX_BYTES = 4 << 20


def key(source: ir.DataSource, folder: Path, root: Path | None, question: JsonValue) -> str | None:
    """The entry's name, or None when there is no such file to remember anything about."""
    try:
        real = resolve_inside(source.path, folder, root)
        status = real.stat()
    except (DataError, OSError):
        return None
    identity = [VERSION, str(real), status.st_size, status.st_mtime_ns, status.st_ino]
    return digest([*identity, source.model_dump(mode="json"), question])


def recall(folder: Path, name: str) -> str | None:
    try:
        with (folder / f"{name}.json").open("rb") as file:
            return file.read(_MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None


def remember(folder: Path, name: str, text: str) -> None:
    """Written beside its place and renamed there: another process sees all of it or nothing."""
    temporary = folder / f"{name}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / f"{name}.json")
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
