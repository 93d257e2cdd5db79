"""Remembered results of looking at data files, so that checking an unchanged project reads none.

One small JSON text per result, named by everything that determines it: the file's real place, size
and time of change, and the question asked. Entries may vanish or be damaged at any time; whoever
recalls one must check it. Nothing here raises.
"""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.schema.program import digest
from dspec.runtime.schema.types import JsonValue

from .. import ir
from ..project.reads import stamp
from .opening import resolve_inside
from .problem import DataError
from .snapshots import located
from .sources.base import FileSource
from .sources.table import source_of

VERSION = 5
"""Raise when a result's meaning changes."""


def key(source: ir.DataSource, folder: Path, root: Path | None, question: JsonValue) -> str | None:
    """The entry's name, or None when there is no such file to remember anything about."""
    found = source_of(source)
    try:
        real = resolve_inside(*located(source, folder, root))
        status = real.stat()
        beside = stamp(f"{real}{found.beside}") if isinstance(found, FileSource) and found.beside else ""
    except (DataError, OSError):
        return None
    identity = [VERSION, str(real), status.st_size, status.st_mtime_ns, status.st_ino]
    if beside:
        identity.append(beside)
    return digest([*identity, source.model_dump(mode="json"), question])
