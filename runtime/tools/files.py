"""Finds the data files of tools below a folder, and reads their rows.

A file is untrusted and so is the tool that names it: its real place must lie below the folder, it must be a regular
file, and its content must be what the tool's digest says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, cast

from ..schema.types import JsonValue, Row
from .base import ToolProblem

MAX_BYTES = 1 << 30
_CHUNK = 1 << 20
ENDINGS = ("csv", "json", "jsonl", "parquet")


def inside(path: str, folder: Path) -> Path:
    """Where the file really lies. Raises ToolProblem when that is no file below the folder."""
    if (
        not path
        or "\0" in path
        or PurePosixPath(path).is_absolute()
        or PureWindowsPath(path).drive
        or "\\" in path
    ):
        raise ToolProblem(f"`{path[:200]}` is no path inside the folder")
    try:
        border = folder.resolve()
        real = (border / path).resolve(strict=True)
    except (OSError, RuntimeError):
        raise ToolProblem(f"there is no file `{path[:200]}`") from None
    if not real.is_relative_to(border):
        raise ToolProblem(f"`{path[:200]}` leads out of the folder")
    if not real.is_file():
        raise ToolProblem(f"`{path[:200]}` is no file")
    return real


def contents(path: Path, sha256: str) -> bytes:
    """The file's bytes, which have that digest; any, where it is "". Raises ToolProblem."""
    chunks = list[bytes]()
    _read(path, sha256, chunks.append)
    return b"".join(chunks)


def check_contents(path: Path, sha256: str) -> None:
    """Raises ToolProblem where the file has another digest. Reads it piece by piece and keeps nothing."""
    _read(path, sha256, lambda _: None)


def contents_digest(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal. Raises ToolProblem."""
    digest = hashlib.sha256()
    _read(path, "", digest.update)
    return digest.hexdigest()


def _read(path: Path, sha256: str, take: Callable[[bytes], None]) -> None:
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ToolProblem(f"`{path.name}` is no regular file")
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise ToolProblem(f"`{path.name}` is larger than {MAX_BYTES >> 20:,} MiB")
                digest.update(chunk)
                take(chunk)
    except OSError as error:
        raise ToolProblem(f"`{path.name}` cannot be read: {error.strerror}") from None
    if sha256 and digest.hexdigest() != sha256:
        raise ToolProblem(f"`{path.name}` is not the file that the program was compiled with")


def rows_of(path: Path, sha256: str) -> list[Row]:
    """The rows of a csv, json, jsonl or parquet file. Raises ToolProblem."""
    data = contents(path, sha256)
    ending = path.suffix.lower().lstrip(".")
    try:
        return list(_READERS[ending](data))
    except KeyError:
        raise ToolProblem(f"`{path.name}` is no {', '.join(ENDINGS)} file") from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise ToolProblem(f"`{path.name}` cannot be read as {ending}: {str(error)[:200]}") from None


def _csv(data: bytes) -> Iterator[Row]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    for row in csv.DictReader(text, strict=True):
        yield {name: value for name, value in row.items() if isinstance(name, str)}  # pyright: ignore[reportUnnecessaryIsInstance]


def _jsonl(data: bytes) -> Iterator[Row]:
    for line in data.decode("utf-8-sig").split("\n"):
        if line.strip():
            yield _row(json.loads(line))


def _json(data: bytes) -> Iterator[Row]:
    found: object = json.loads(data.decode("utf-8-sig"))
    if not isinstance(found, list):
        raise ValueError("it is no list of rows")
    yield from map(_row, cast("list[object]", found))


def _row(value: object) -> Row:
    if not isinstance(value, dict):
        raise ValueError("a row is no object")
    return cast("Row", value)


def _parquet(data: bytes) -> Iterable[Row]:
    try:
        import polars
    except ImportError:
        raise ToolProblem("reading parquet needs the package polars: pip install 'dspc[parquet]'") from None
    try:
        found: list[dict[str, Any]] = polars.read_parquet(io.BytesIO(data)).to_dicts()
    except polars.exceptions.PolarsError as error:
        raise ValueError(str(error)) from None
    return (cast("dict[str, JsonValue]", row) for row in found)


_READERS = {"csv": _csv, "json": _json, "jsonl": _jsonl, "parquet": _parquet}
