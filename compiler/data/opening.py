"""Opening a data file: the untrusted border.

A data file is a regular file whose real place lies inside the project's root. Opening never blocks
(a fifo is refused, not waited for), never follows a link out of the root, and what is read is
bounded by the caller line by line.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader, BytesIO, FileIO, StringIO
from itertools import chain
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from ..diagnostics.spelling import closest
from ..project.reads import listed, looked_at
from ..project.state import project_root
from .problem import DataError, DataProblem, unreadable

MAX_FILE_BYTES = 1 << 30
"""Largest file a compile reads whole; a check samples what is larger than `probing.WHOLE_BYTES`."""

MAX_JSON_BYTES = 64 << 20
"""Largest `json` file: it must be in memory at once, unlike csv and jsonl."""

MAX_LINE_BYTES = 16 << 20
_BLOCK_BYTES = 256 << 10

SAVE_AS_UTF8 = "save the file as UTF-8"

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class PlacedFile(BufferedReader):
    """An open file that knows where it really lies, for what has to be opened by its name once more.

    With `lenient` a line that is not UTF-8 is no end of its `TextLines`: `undecoded` says what is wrong with the last such line,
    until whoever reads the rows has taken note of it.
    """

    def __init__(self, place: Path, descriptor: int | None = None, *, lenient: bool = False) -> None:
        super().__init__(FileIO(place if descriptor is None else descriptor))
        self.place = place
        self.lenient = lenient
        self.undecoded = ""


def open_inside(path: str, folder: Path, root: Path | None = None) -> PlacedFile:
    """Open `path`, relative to `folder`, for reading bytes. Raises DataError (`unreadable`, `outside`).

    `root` bounds where the file may really lie, links resolved; without it that is the project
    that `folder` is in.
    """
    real = resolve_inside(path, folder, root)
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(real, flags)
    except OSError as error:
        raise unreadable(f"data file `{path}` cannot be read: {_reason(error)}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise unreadable(f"data file `{path}` is not a regular file")
    return PlacedFile(real, descriptor)


def resolve_inside(path: str, folder: Path, root: Path | None = None) -> Path:
    """Where `path` really lies. Raises DataError when that is no file inside `root`."""
    root = root or root_of(folder)
    if not path or "\0" in path:
        raise unreadable("the data file's path is empty" if not path else "a path cannot hold a NUL")
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path.startswith("\\"):
        raise _outside(path)
    looked_at(folder / path)
    try:
        border = root.resolve()
        real = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        # A loop is a RuntimeError before Python 3.13, an OSError since.
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            raise unreadable(f"data file `{path}` is a loop of symbolic links") from None
        raise _not_found(path, folder, root, error) from None
    if not real.is_relative_to(border):
        raise _outside(path)
    if real.is_dir():
        raise unreadable(f"data file `{path}` is a folder")
    return real


def lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Lines as text, ends kept, without a BOM. Raises DataError on bad UTF-8 and overlong lines."""
    return iter(TextLines(stream, name))


class TextLines:
    """The same. It reads no further than to a line's end, until it is told to go `ahead`: then it reads many lines at once,
    which costs a fraction.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.ahead = False
        self._stream, self._name = stream, name
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._stretches())

    def _stretches(self) -> Iterator[Iterable[str]]:
        while not self.ahead:
            line = self._stream.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            yield (self._decoded(line),)
        for block in blocks(self._stream):
            text = None
            if len(block) <= MAX_LINE_BYTES and self._number:
                with suppress(UnicodeDecodeError):
                    text = block.decode()
            if text is None:
                yield map(self._decoded, BytesIO(block))
            else:
                self._number += text.count("\n") + (not text.endswith("\n"))
                yield StringIO(text, newline="\n")

    def _decoded(self, line: bytes) -> str:
        self._number += 1
        try:
            return decoded(line, self._number, self._name)
        except DataError:
            file = self._stream
            no_text = len(line) > MAX_LINE_BYTES or (self._number == 1 and line.startswith(_UTF16))
            if no_text or not isinstance(file, PlacedFile) or not file.lenient:
                raise
            file.undecoded = _undecodable(line)
            return line.decode(errors="replace")


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """What is left of a file in blocks of whole lines, without a line's end where a line is longer than is taken."""
    while block := stream.read(_BLOCK_BYTES):
        if not block.endswith(b"\n"):
            block += stream.readline(MAX_LINE_BYTES + 1)
        yield block


def decoded(line: bytes, number: int, name: str) -> str:
    """One line as text. Raises DataError on bad UTF-8 and overlong lines."""
    if number == 1:
        if line.startswith(_UTF16):
            raise unreadable(f"data file `{name}` is UTF-16, not UTF-8", SAVE_AS_UTF8)
        line = without_bom(line)
    if len(line) > MAX_LINE_BYTES:
        raise unreadable(f"line {number} of `{name}` is longer than {MAX_LINE_BYTES >> 20} MiB")
    try:
        return line.decode()
    except UnicodeDecodeError:
        why = _undecodable(line)
        raise unreadable(f"`{name}` is not UTF-8: line {number}, {why}", SAVE_AS_UTF8) from None


def _undecodable(line: bytes) -> str:
    """The byte that keeps a line from being UTF-8; empty where none does."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is 0x{line[error.start]:02x}"
    return ""


def without_bom(start: bytes) -> bytes:
    """What a file begins with, without a byte order mark."""
    return start.removeprefix(_BOM)


def check_size(stream: BinaryIO, name: str, limit: int, help: str) -> None:  # noqa: A002
    """Raises DataError when the file is larger than `limit` bytes."""
    size = os.fstat(stream.fileno()).st_size
    if size > limit:
        raise unreadable(f"`{name}` has {size >> 20:,} MiB; at most {limit >> 20:,} can be read", help)


def _outside(path: str) -> DataError:
    message = f"data file `{path}` lies outside the project"
    advice = "data files lie inside the project and are named relative to the .dspec file"
    return DataError([DataProblem(kind="outside", message=message, help=advice)])


def root_of(folder: Path) -> Path:
    """The root of the project that a file in `folder` belongs to."""
    return project_root(folder / "any.dspec")


def _not_found(path: str, folder: Path, root: Path, error: OSError) -> DataError:
    """Never tells what exists outside the root: only then does it name the reason."""
    border = root.absolute()
    place = Path(os.path.normpath(folder.absolute() / path))
    if not place.is_relative_to(border):
        return _outside(path)
    return unreadable(f"data file `{path}` cannot be read: {_reason(error)}", _nearby(place))


def _nearby(place: Path) -> str:
    """Names a file that may have been meant: another case, ending or spelling, in that folder."""
    listed(place.parent)
    try:
        with os.scandir(place.parent) as entries:
            found = [entry.name for entry, _ in zip(entries, range(1000), strict=False)]
    except OSError:
        return ""
    stem = place.stem.casefold()
    near = sorted(name for name in found if Path(name).stem.casefold() == stem)
    near += closest(place.name, (name for name in found if name.endswith(place.suffix)))
    return f"did you mean `{near[0]}`?" if near else ""


def _reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case PermissionError():
            return "permission denied"
        case NotADirectoryError():
            return "a part of its path is not a folder"
        case _:
            return (error.strerror or type(error).__name__).lower()
