"""The project's own settings: `dspec.toml` in its root.

    [severity]
    DS0607 = "off"
    DS0205 = "error"

Check, compile and the language server all read them here, by way of `analyse`. A warning or a hint
may be given another level or be turned off; an error stays one, since a program with errors has no
meaning that could be compiled. What the file gets wrong is a diagnostic with a place in it, never a
silent default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct, field
from msgspec.structs import replace

from ..project.loading import ImportProblem, read_text
from ..project.reads import looked_at
from ..project.source import Location, Source
from . import codes
from .codes.base import Finding
from .record import Diagnostic, Severity

FILE = "dspec.toml"
MAX_CHARACTERS = 64 * 1024
LEVELS: dict[str, Severity | None] = {"off": None, "hint": "hint", "warning": "warning", "error": "error"}
"""What a code may be set to; with None it is not reported."""


class Settings(Struct, frozen=True):
    """`levels` holds the codes that are set; `problems` what is wrong with the file."""

    levels: Mapping[str, Severity | None] = field(default_factory=dict[str, "Severity | None"])
    problems: tuple[Finding, ...] = ()

    def applied(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The diagnostics at the levels that were set, those that are off left out."""
        found: list[Diagnostic] = []
        for diagnostic in diagnostics:
            level = self.levels.get(diagnostic.code, diagnostic.severity)
            if level is not None:
                found.append(
                    diagnostic if level == diagnostic.severity else replace(diagnostic, severity=level)
                )
        return found


def read_settings(root: Path, text: str | None = None) -> Settings:
    """The settings of the project at `root`; the defaults where it has no such file. `text` stands in for the file's."""
    path = root / FILE
    if text is not None:
        return settings_in(Source(path, FILE, text))
    looked_at(path)
    if not path.exists() and not path.is_symlink():
        return Settings()
    found = read_text(path, root)
    if isinstance(found, ImportProblem):
        return _unreadable(Source(path, FILE, ""), 0, 0, found.reason)
    return settings_in(Source(path, FILE, found))


def settings_in(source: Source) -> Settings:
    """The settings of a text, which need not be on disk yet."""
    text = source.text
    if len(text) > MAX_CHARACTERS:
        return _unreadable(
            source, 0, 0, f"it has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read"
        )
    if (deep := re.search(_DEEP, text)) is not None:
        return _unreadable(source, deep.start(), deep.end(), "a key has too many parts")
    import tomllib  # most projects have no settings

    try:
        found = cast("dict[str, object]", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        start, end, reason = _mistake(source, str(error))
        return _unreadable(source, start, end, reason)
    except RecursionError:
        return _unreadable(source, 0, 0, "it is nested too deeply")
    return _settings(source, found)


def _unreadable(source: Source, start: int, end: int, reason: str) -> Settings:
    return Settings(problems=(codes.project.SettingsUnreadable(Location(source, start, end), reason),))


_DEEP = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w\-]+)(?:[ \t]*\.[ \t]*(?:"[^"\n]*"|'[^'\n]*'|[\w\-]+)){40}"""
"""A key with more parts than any setting has: the TOML reader's time grows with the square of their number."""
_WHERE = r" \(at (?:line (\d+), column (\d+)|end of document)\)$"


def _mistake(source: Source, message: str) -> tuple[int, int, str]:
    """Where the TOML reader stopped, and its words without the place."""
    found = re.search(_WHERE, message)
    reason = message[: found.start()] if found else message
    reason = reason[:1].lower() + reason[1:]
    length = len(source.text)
    if found is None or found[1] is None:
        return max(0, length - 1), length, reason
    line = min(int(found[1]), source.line_count)
    start = sum(len(each) for each in source.text.splitlines(keepends=True)[: line - 1])
    start = min(start + int(found[2]) - 1, length)
    return start, min(start + 1, length), reason


def _settings(source: Source, found: Mapping[str, object]) -> Settings:
    from .codes.table import CODES  # most projects set nothing

    levels: dict[str, Severity | None] = {}
    places = _keys(source.text)

    def at(*key: str, value: bool = False) -> Location:
        """Where a key stands, or its value."""
        start, end = places.get(key, (0, 0, 0, 0))[2 * value :][:2]
        return Location(source, start, end)

    problems: list[Finding] = [
        codes.project.UnknownSetting(at(name), name) for name in found if name != "severity"
    ]
    table = found.get("severity", {})
    if not isinstance(table, dict):
        problems.append(codes.project.NoTable(at("severity")))
        table = {}
    for name, level in cast("dict[str, object]", table).items():
        code, place = CODES.get(name), at("severity", name)
        if code is None:
            problems.append(codes.project.SetsNoCode(place, name, tuple(CODES)))
        elif not isinstance(level, str) or level not in LEVELS:
            text, value = isinstance(level, str), at("severity", name, value=True)
            problems.append(codes.project.NotALevel(value, name, str(level), text, tuple(LEVELS)))
        elif code.severity == "error" and level != "error":
            problems.append(codes.project.SetsError(place, name, code.title, level))
        else:
            levels[name] = LEVELS[level]
    return Settings(levels, tuple(problems))


_HEADER = r"[ \t]*\[[ \t]*([\w.\-\"']+)[ \t]*\]"
_KEY = r"[ \t]*([\w.\-\"']+)[ \t]*=[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[^#\n]*[^#\s]|)"


_LEVELS = 3
"""How deep a setting stands, and one more."""


def _keys(text: str) -> dict[tuple[str, ...], tuple[int, int, int, int]]:
    """Where keys and their values stand, line by line; a key written in another way has no place."""
    found: dict[tuple[str, ...], tuple[int, int, int, int]] = {}
    above: tuple[str, ...] = ()
    offset = 0
    for line in text.splitlines(keepends=True):
        if header := re.match(_HEADER, line):
            above = _path(header[1])
            start, end = offset + header.start(1), offset + header.end(1)
            found.setdefault(above, (start, end, start, end))
        elif key := re.match(_KEY, line):
            path = (*above, *_path(key[1]))
            place = (offset + key.start(1), offset + key.end(1), offset + key.start(2), offset + key.end(2))
            for length in range(1, min(len(path), _LEVELS) + 1):
                found.setdefault(path[:length], place)
        offset += len(line)
    return found


def _path(written: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in written.split("."))
