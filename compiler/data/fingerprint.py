"""The digest of a whole data file, remembered by its size and time of change, so that a check reads it once."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from .. import ir
from ..project.caches import FolderCache
from . import cache as caching
from . import opening
from .problem import unreadable


def fingerprint(source: ir.DataSource, folder: Path, *, root: Path, cache: FolderCache | None) -> str:
    """SHA-256 of the file, in hexadecimal. Raises DataError when it cannot be read, or is too large to be used."""
    key = caching.key(source, folder, root, "sha256") if cache else None
    if cache and key and (text := cache.recall(key)) and re.fullmatch(r"[0-9a-f]{64}", text):
        return text
    found = file_digest(source.path, folder, root)
    if cache and key:
        cache.remember(key, found)
    return found


def file_digest(path: str, folder: Path, root: Path | None = None) -> str:
    """SHA-256 of a file inside the project, in hexadecimal. Raises DataError as `opening.open_inside` does, and for one that is
    larger than any that is read."""
    digest = hashlib.sha256()
    size = 0
    with opening.open_inside(path, folder, root) as stream:
        while chunk := stream.read(1 << 20):
            size += len(chunk)
            if size > opening.MAX_FILE_BYTES:
                raise unreadable(
                    f"data file `{path}` is larger than {opening.MAX_FILE_BYTES >> 20:,} MiB, "
                    "the most that is searched"
                )
            digest.update(chunk)
    return digest.hexdigest()
