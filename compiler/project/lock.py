"""One compile at a time in a project: the second waits and says for whom.

Two at once would be correct (the ledger and the store are shared by processes) and wasteful: what both
need at the same moment would be paid twice. The lock is the kernel's, so it ends with its holder however
that ends; the file's text only tells who it is. Where there are no such locks, nobody waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_EVERY = 0.2
"""Seconds between two tries."""
_SHOWN = 200


@asynccontextmanager
async def held(path: Path, waiting: Callable[[str], None]) -> AsyncGenerator[None]:
    """Holds the lock at `path`; calls `waiting` once with the holder's words if somebody else does."""
    try:
        # Windows has no such flag: its handles are not inherited anyway.
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError:
        yield  # whoever cannot write here will be told so by the ledger
        return
    try:
        told = False
        while not _taken(file):
            if not told:
                waiting(_holder(file))
                told = True
            await asyncio.sleep(_EVERY)
        with suppress(OSError):  # a full disk is the ledger's to report
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"process {os.getpid()}".encode())
        yield
    finally:
        os.close(file)


def _taken(file: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # this file system has no locks
    return True


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    text = os.read(file, _SHOWN).decode(errors="replace")
    return text if text.isprintable() and text else "another process"
