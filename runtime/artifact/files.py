"""Writes files whole or not at all, and reads them within bounds."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO

from ..errors import ArtifactError

_writing = threading.Lock()


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file: the new one is written beside it, synced, and renamed over it. After an OSError the old file is
    intact. Files that a killed process left behind are cleared away.
    """
    named, path = path, path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = beside_of(path)
    with _writing:
        for stray in path.parent.glob(f".{_literal(path.name)}.*.tmp"):
            if not _alive(stray):
                stray.unlink(missing_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException as error:
            beside.unlink(missing_ok=True)
            if isinstance(error, OSError):
                error.filename = str(named)  # a full disk names none
            raise
    _sync_folder(path.parent)


def beside_of(path: Path) -> Path:
    """Where this process writes a file before it takes the place of `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _alive(stray: Path) -> bool:
    """Whether the process that a left-over is named for may still be writing it."""
    owner = stray.name.removesuffix(".tmp").rpartition(".")[2]
    if not owner.isdecimal() or int(owner) == os.getpid():
        return not owner.isdecimal()
    if os.name == "nt":  # where this would be a Ctrl-C to the process
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most`. Raises ArtifactError that says what is wrong with it."""
    with open_regular(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(most)
    return data


def open_regular(path: Path, most: int) -> BinaryIO:
    """A regular file of at most `most` bytes, opened. Raises ArtifactError that says what is wrong with it."""
    try:
        # Without O_NONBLOCK a named pipe would block here, before it can be refused.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ArtifactError("there is no such file", help="`dspc compile` writes it") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise ArtifactError("is not a regular file")
    if about.st_size > most:
        os.close(handle)
        raise _too_large(most)
    return os.fdopen(handle, "rb")


def _too_large(most: int) -> ArtifactError:
    return ArtifactError(f"is larger than {most // 1024**2} MB, which no artifact is")
