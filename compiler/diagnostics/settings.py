"""The project's own settings: `dspec.toml` in its root, or `[tool.dspec]` of its `pyproject.toml`.

    [severity]
    DS0607 = "off"
    DS0205 = "error"

    [budget]
    usd = 5.00

    [paths]
    compiled = "artifacts"

Check, compile and the language server all read them here, by way of `analyse`. A warning or a hint
may be given another level or be turned off; an error stays one, since a program with errors has no
meaning that could be compiled. No setting says what a `.dspec` file means: a budget ends what asks for
more, and a path says where artifacts lie. What the file gets wrong is a diagnostic with a place in it, never a
silent default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, cast

from msgspec import Struct, field
from msgspec.structs import replace

from ..project.loading import ImportProblem, read_text
from ..project.reads import looked_at
from ..project.source import Location, Source
from ..project.state import project_root
from . import codes
from .codes.base import Finding
from .record import Diagnostic, Severity

FILE = "dspec.toml"
SHARED = "pyproject.toml"
WITHIN = ("tool", "dspec")
"""The table of the shared file."""
TABLES = ("severity", "budget", "paths")
PATHS = ("compiled",)
COMPILED = "compiled"
"""The folder of artifacts beside a file, unless it is set."""
_AMOUNTS: dict[str, type] = {"usd": float, "calls": int, "tokens": int, "minutes": float}
MAX_CHARACTERS = 64 * 1024
LEVELS: dict[str, Severity | None] = {"off": None, "hint": "hint", "warning": "warning", "error": "error"}
"""What a code may be set to; with None it is not reported."""


class Settings(Struct, frozen=True):
    """`levels` holds the codes that are set; `budget` what ends commands whose file and whose options say nothing, by unit;
    `compiled` the folder of artifacts beside a file; `problems` what is wrong with the settings; `name` is their file's."""

    levels: Mapping[str, Severity | None] = field(default_factory=dict[str, "Severity | None"])
    budget: Mapping[str, float | int] = field(default_factory=dict[str, "float | int"])
    compiled: str = COMPILED
    name: str = FILE
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
    path, shared = root / FILE, root / SHARED
    looked_at(shared)
    if text is not None:
        return _alone(settings_in(Source(path, FILE, text)), shared)
    looked_at(path)
    if not path.exists() and not path.is_symlink():
        told = _shared_text(shared)
        return Settings() if told is None else settings_in(Source(shared, SHARED, told), WITHIN)
    found = read_text(path, root)
    if isinstance(found, ImportProblem):
        return _unreadable(Source(path, FILE, ""), 0, 0, found.reason)
    return _alone(settings_in(Source(path, FILE, found)), shared)


def compiled_folder(path: Path) -> Path:
    """Where the artifacts of the file at `path` lie."""
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError):  # a loop of symbolic links
        folder = path.absolute().parent
    return folder / read_settings(project_root(path)).compiled


def _shared_text(path: Path) -> str | None:
    """The text of a `pyproject.toml` that has our table; one without it is not ours to judge."""
    if not path.is_file():
        return None
    found = read_text(path, path.parent)
    if isinstance(found, ImportProblem) or re.search(_OURS, found, re.MULTILINE) is None:
        return None
    return found


def _alone(settings: Settings, shared: Path) -> Settings:
    """The settings, with a word where there are others which are not read."""
    text = _shared_text(shared)
    if text is None:
        return settings
    found = re.search(_OURS, text, re.MULTILINE)
    start, end = found.span(1) if found else (0, 0)
    told = codes.project.SettingsTwice(Location(Source(shared, SHARED, text), start, end))
    return replace(settings, problems=(*settings.problems, told))


def settings_in(source: Source, within: tuple[str, ...] = ()) -> Settings:
    """The settings of a text, which need not be on disk yet: those of the table at `within`."""
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
    for name in within:
        inner = found.get(name)
        found = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
    return _settings(source, found, within)


def _unreadable(source: Source, start: int, end: int, reason: str) -> Settings:
    return Settings(problems=(codes.project.SettingsUnreadable(Location(source, start, end), reason),))


_DEEP = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w\-]+)(?:[ \t]*\.[ \t]*(?:"[^"\n]*"|'[^'\n]*'|[\w\-]+)){40}"""
"""A key with more parts than any setting has: the TOML reader's time grows with the square of their number."""
_OURS = r"^[ \t]*\[[ \t]*(tool[ \t]*\.[ \t]*[\"']?dspec\b[^\]\n]*)\]"
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


def _settings(source: Source, found: Mapping[str, object], within: tuple[str, ...]) -> Settings:
    places = _keys(source.text, len(within) + _LEVELS)
    problems: list[Finding] = []

    def at(*key: str, value: bool = False) -> Location:
        """Where a key stands, or its value."""
        start, end = places.get((*within, *key), (0, 0, 0, 0))[2 * value :][:2]
        return Location(source, start, end)

    def table(name: str) -> dict[str, object]:
        one = found.get(name, {})
        if isinstance(one, dict):
            return cast("dict[str, object]", one)
        problems.append(codes.project.NoTable(at(name), name))
        return {}

    problems += (codes.project.UnknownSetting(at(name), name, TABLES) for name in found if name not in TABLES)
    levels = _levels(table("severity"), at, problems)
    budget = _budget(table("budget"), at, problems)
    compiled = _compiled(table("paths"), at, problems)
    return Settings(levels, budget, compiled, source.name, tuple(problems))


class _At(Protocol):
    def __call__(self, *key: str, value: bool = False) -> Location: ...


def _levels(table: Mapping[str, object], at: _At, problems: list[Finding]) -> dict[str, Severity | None]:
    levels: dict[str, Severity | None] = {}
    if not table:
        return levels
    from .codes.table import CODES  # most projects set nothing

    for name, level in table.items():
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
    return levels


def _budget(table: Mapping[str, object], at: _At, problems: list[Finding]) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    for name, amount in table.items():
        kind = _AMOUNTS.get(name)
        if kind is None:
            problems.append(codes.project.UnknownSetting(at("budget", name), name, tuple(_AMOUNTS), "budget"))
        elif (
            isinstance(amount, bool) or not isinstance(amount, (int, kind)) or not 0 < amount < float("inf")  # pyright: ignore[reportOperatorIssue]
        ):
            wanted = "a whole number above 0" if kind is int else "a number above 0"
            problems.append(codes.project.NotASetting(at("budget", name, value=True), name, wanted))
        else:
            found[name] = cast("float | int", amount)
    return found


def _compiled(table: Mapping[str, object], at: _At, problems: list[Finding]) -> str:
    problems += (
        codes.project.UnknownSetting(at("paths", name), name, PATHS, "paths")
        for name in table
        if name not in PATHS
    )
    path = table.get("compiled", COMPILED)
    if isinstance(path, str) and re.fullmatch(r"(?!\.+(/|$))[\w.\- ]+(/(?!\.+(/|$))[\w.\- ]+)*", path):
        return path
    wanted = "a folder below the file's own, as in `build/artifacts`"
    problems.append(codes.project.NotASetting(at("paths", "compiled", value=True), "compiled", wanted))
    return COMPILED


_HEADER = r"[ \t]*\[[ \t]*([\w.\-\"']+)[ \t]*\]"
_KEY = r"[ \t]*([\w.\-\"']+)[ \t]*=[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[^#\n]*[^#\s]|)"


_LEVELS = 3
"""How deep a setting stands, and one more."""


def _keys(text: str, levels: int) -> dict[tuple[str, ...], tuple[int, int, int, int]]:
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
            for length in range(1, min(len(path), levels) + 1):
                found.setdefault(path[:length], place)
        offset += len(line)
    return found


def _path(written: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in written.split("."))
