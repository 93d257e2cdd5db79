"""Images, audio and files of rows: a cell is a path beside the data file, a URL, or a `data:` URL.

A path is untrusted like the rest of a row: it leads to a regular file inside the project, links resolved, or it breaks the
column's type. A compile reads each file once, for its digest, and keeps its place; a check looks at how it begins.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from dspec.runtime.schema.types import JsonValue, Row, Type
from dspec.runtime.values.media import Medium, MediumKind, glance, keep, medium_kind, of_file, of_text
from dspec.runtime.values.values import at, inside

from .. import ir
from ..project.reads import looked_at
from .sources.table import is_fetched

ENDINGS = ("png", "jpg", "jpeg", "gif", "webp", "wav", "mp3", "flac", "ogg", "m4a", "pdf", "txt")
"""How the names of media mostly end. What a file is, its content tells."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}:")


def is_path(cell: str) -> bool:
    """Whether a cell is a path, and no address."""
    return not _SCHEME.match(cell)


def beside(source: ir.DataSource, folder: Path) -> Path:
    """Where paths in rows of this source start. Fetched rows lie in a folder of ours: theirs count from the source's."""
    return folder if is_fetched(source) else (folder / source.path).parent


def stand_in(text: str, kind: MediumKind) -> str:
    """A medium at some address, where the one that `text` leads to is not there: another one for each text."""
    return Medium(kind, url=f"https://beside.the.data/{hashlib.sha256(text.encode()).hexdigest()}").sign


class MediaFiles:
    """What paths beside something name, in `folder`. With `glancing`, files are only looked at: a path is then its own
    value."""

    def __init__(self, folder: Path, root: Path, *, glancing: bool) -> None:
        self._folder = folder
        self._root = root.resolve()
        self._glancing = glancing
        self._known: dict[tuple[str, MediumKind], str] = {}

    def value(self, cell: JsonValue, kind: MediumKind) -> JsonValue:
        """The cell's value, or those of a list. Raises ValueError where one of them is nothing that can be sent."""
        if isinstance(cell, list):
            return [self.value(one, kind) for one in cell]
        return self._value(cell.strip(), kind) if isinstance(cell, str) else cell

    def in_turns(self, turns: JsonValue, kinds: Mapping[str, Type]) -> JsonValue:
        """A history with the fields of its turns that `kinds` names as values. Raises ValueError as `value` does."""
        if not isinstance(turns, list) or not kinds:
            return turns
        return [self._turn(turn, f"turn {place}", kinds) for place, turn in enumerate(turns, 1)]

    def _turn(self, turn: JsonValue, where: str, kinds: Mapping[str, Type]) -> JsonValue:
        if not isinstance(turn, dict):
            return turn
        found: Row = {}
        for name, one in turn.items():
            kind = medium_kind(kinds[name]) if name in kinds else None
            try:
                found[name] = one if kind is None or one is None else self._in_turn(one, kind)
            except ValueError as error:
                raise ValueError(at(inside(where, name), str(error))) from None
        return found

    def _in_turn(self, one: JsonValue, kind: MediumKind) -> JsonValue:
        """The value of a turn's field. What is only looked at stands as a medium at some address: turns are read by the types of
        their fields, which take nothing whose bytes are not there."""
        if isinstance(one, list):
            return [self._in_turn(each, kind) for each in one]
        value = self.value(one, kind)
        return stand_in(one, kind) if self._glancing and isinstance(one, str) else value

    def _value(self, text: str, kind: MediumKind) -> str:
        if not is_path(text):
            found, blob = of_text(text, kind)
            if blob is not None and not self._glancing:
                keep(blob)
            return found.sign
        key = (text, kind)
        if key not in self._known:
            self._known[key] = self._file(text, kind)
        return self._known[key]

    def _file(self, path: str, kind: MediumKind) -> str:
        real = self._resolved(path)
        try:
            if self._glancing:
                glance(real, kind)
                return path
            found, blob = of_file(real, kind)
        except ValueError as error:
            raise ValueError(f"`{path[:80]}`: {error}") from None
        except OSError as error:
            raise ValueError(f"`{path[:80]}` cannot be read: {error.strerror or error}") from None
        keep(blob)
        return found.sign

    def _resolved(self, path: str) -> Path:
        """Where a path leads; nothing is told of what is outside the project."""
        shown = f"`{path[:80]}`"
        if not path or "\0" in path:
            raise ValueError("the path is empty" if not path else "a path cannot hold a NUL")
        place = self._folder / path
        outside = PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).drive) or path[0] == "\\"
        if outside or not Path(os.path.normpath(place.absolute())).is_relative_to(self._root):
            raise ValueError(f"{shown} lies outside the project")
        looked_at(place)
        try:
            real = place.resolve(strict=True)
        except (OSError, RuntimeError):
            raise ValueError(f"there is no file {shown} there") from None
        if not real.is_relative_to(self._root):
            raise ValueError(f"{shown} lies outside the project")
        return real
