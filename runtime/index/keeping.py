"""Keeps indexes in the user's cache: one file each, named by the digest of what it was made from.

A file is arrays of plain numbers behind a short header, with the checksum of all of it at the end; nothing in it can
run. It is written beside its place and renamed, checked when it is opened, and mapped into memory, so that only the
parts that are searched take any. What is damaged, foreign or gone is made again; a cache that cannot be written is no
fault either. The least recently used files go when the folder is full.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Arrays = Mapping[str, Array]

MAX_FILE = 4 * 1024**3
MAX_FOLDER = 8 * 1024**3
_MAX_HEADER = 65_536
_MAGIC = b"dspec index 1\n"
_TYPES = ("uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
_ALIGNED = 64
_CHECKSUM = 32
_STALE = 3600.0
"""Seconds after which a file that was never finished is taken for left behind."""

_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def key_of(kind: str, *texts: Iterable[str] | str) -> str:
    """The digest of all that an index depends on; `kind` names what makes it, with its version."""
    found = hashlib.sha256(kind.encode())
    for part in texts:
        for text in (part,) if isinstance(part, str) else part:
            data = text.encode(errors="surrogatepass")
            found.update(b"%d:" % len(data))
            found.update(data)
        found.update(b"|")
    return found.hexdigest()


def folder() -> Path:
    """Where indexes are kept: `DSPEC_INDEX_DIR`, or the user's cache."""
    if named := os.environ.get("DSPEC_INDEX_DIR"):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dspec" / "index"


def opened(key: str) -> Arrays | None:
    """The arrays that are kept for the key; None where there are none, or damaged ones."""
    try:
        return _open(_place(key))
    except (OSError, ValueError, RuntimeError):
        return None


def kept(key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that are kept for the key; made and kept where there are none. Raises what `make` raises."""
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        found = opened(key)
        if found is not None:
            return found
        made = make()
        try:
            _write(_place(key), made)
        except (OSError, RuntimeError):
            return made
        return opened(key) or made


def _place(key: str) -> Path:
    """Raises RuntimeError where the user has no home."""
    return folder() / f"{key}.index"


def _open(path: Path) -> Arrays:
    """Raises OSError for what cannot be read, ValueError for what is no index."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or not len(_MAGIC) + 8 + _CHECKSUM <= about.st_size <= MAX_FILE:
            raise ValueError("not an index")
        _verify(file.fileno(), about.st_size)
        file.seek(0)
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("not an index")
        size = int.from_bytes(file.read(8), "little")
        if size > _MAX_HEADER:
            raise ValueError("a header that is too long")
        described = cast("object", json.loads(file.read(size)))
        mapped = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    with contextlib.suppress(OSError):
        os.utime(path)
    return _arrays(mapped, described, about.st_size - _CHECKSUM)


def _verify(handle: int, size: int) -> None:
    found = hashlib.sha256()
    left, block = size - _CHECKSUM, bytearray(1 << 20)
    view = memoryview(block)
    with os.fdopen(os.dup(handle), "rb", buffering=0) as file:
        file.seek(0)
        while left:
            count = file.readinto(view[: min(left, len(block))])
            if not count:
                raise ValueError("a file that ends too early")
            found.update(view[:count])
            left -= count
        if file.read(_CHECKSUM) != found.digest():
            raise ValueError("the checksum does not match")


def _arrays(mapped: mmap.mmap, described: object, end: int) -> Arrays:
    if not isinstance(described, list):
        raise ValueError("not a list of arrays")
    found: dict[str, Array] = {}
    for one in cast("list[object]", described):
        match one:
            case [str(name), str(kind), int(start), int(rows), int(width)] if kind in _TYPES:
                # A width of 0 is that of an array with one dimension.
                count, type_ = rows * (width or 1), np.dtype(kind).newbyteorder("<")
                if min(start, rows, width) < 0 or start % type_.itemsize:
                    raise ValueError("a shape that is none")
                if start + count * type_.itemsize > end:
                    raise ValueError("an array that lies outside the file")
                flat = np.frombuffer(mapped, type_, count, start)
                found[name] = flat.reshape(rows, width) if width else flat
            case _:
                raise ValueError("not an array")
    return found


def _write(path: Path, arrays: Arrays) -> None:
    place, described = 0, list[tuple[str, str, int, int, int]]()
    # The header has the arrays' places, and its own size would move them: so they start where it ends at most.
    first = -(-(len(_MAGIC) + 8 + 200 * (1 + len(arrays))) // _ALIGNED) * _ALIGNED
    for name, array in arrays.items():
        rows, width = array.shape if array.ndim == 2 else (len(array), 0)
        described.append((name, str(array.dtype), first + place, rows, width))
        place += -(-array.nbytes // _ALIGNED) * _ALIGNED
    header = json.dumps(described, separators=(",", ":")).encode()
    assert len(_MAGIC) + 8 + len(header) <= first
    if first + place + _CHECKSUM > MAX_FILE:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_room(path.parent, first + place)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            checksum = hashlib.sha256()

            def put(data: bytes | memoryview) -> None:
                file.write(data)
                checksum.update(data)

            put((_MAGIC + len(header).to_bytes(8, "little") + header).ljust(first, b"\0"))
            for array in arrays.values():
                whole = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                if whole.nbytes:
                    put(whole.reshape(-1).view(np.uint8).data)
                put(b"\0" * (-whole.nbytes % _ALIGNED))
            file.write(checksum.digest())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _make_room(inside: Path, size: int) -> None:
    """Remove what was used least recently, until there is room; and what was never finished."""
    found: list[tuple[float, int, Path]] = []
    for entry in inside.iterdir():
        with contextlib.suppress(OSError):
            about = entry.stat()
            if entry.suffix == ".tmp" and about.st_mtime < time.time() - _STALE:
                entry.unlink()
            elif entry.suffix == ".index":
                found.append((about.st_mtime, about.st_size, entry))
    taken = size + sum(one[1] for one in found)
    for _, bytes_, entry in sorted(found):
        if taken <= MAX_FOLDER:
            return
        with contextlib.suppress(OSError):
            entry.unlink()
            taken -= bytes_
