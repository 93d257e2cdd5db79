"""What the last `dspc check` of the same files found, so that checking them again unchanged is instant.

Each set of files has one entry, with the diagnostics as JSON and a stamp of every file that was looked
at. An entry counts only if no stamp has changed and the same toolchain wrote it. It is untrusted input: an
entry that does not fit its shape is a miss, places are checked against the text, and nothing outside the
project is shown. Nothing here raises, and nothing heavy is imported: no grammar, no pydantic.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct

from ..diagnostics.record import Diagnostic, Edit, Fix, Label, Severity
from ..project.caches import FolderCache
from ..project.reads import stamp
from ..project.source import MAX_SOURCE_BYTES, Location, Source
from ..project.state import project_root

FORMAT = 1


class CheckResult(Struct, frozen=True):
    """What a check of several files found. `sampled` are data files of which only a part was read.

    `left_out` counts the findings that are not shown because there are too many.
    """

    diagnostics: tuple[Diagnostic, ...]
    sampled: tuple[str, ...] = ()
    left_out: int = 0


def recall(cache: FolderCache, paths: Sequence[Path], *, deep: bool) -> CheckResult | None:
    """What checking the files would find, if nothing has changed since `remember`; else None."""
    text = cache.recall(_name(paths, deep))
    if text is None:
        return None
    try:
        entry = json.loads(text)
        if entry["toolchain"] != toolchain() or entry["roots"] != _roots(paths):
            return None
        if any(stamp(name) != known for name, known in entry["reads"].items()):
            return None
        return _Reading(entry, project_root(paths[0])).found()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OSError):
        return None  # damaged, or not written by us


def remember(
    cache: FolderCache, paths: Sequence[Path], found: CheckResult, reads: Mapping[str, str], *, deep: bool
) -> None:
    """Keep what a check of the files found. `reads` is the journal of that check."""
    writing = _Writing()
    diagnostics = [writing.diagnostic(diagnostic) for diagnostic in found.diagnostics]
    entry = {
        "toolchain": toolchain(),
        "roots": _roots(paths),
        "reads": dict(reads),
        "sources": writing.sources(),
        "diagnostics": diagnostics,
        "sampled": list(found.sampled),
        "left_out": found.left_out,
    }
    cache.remember(_name(paths, deep), json.dumps(entry))


def toolchain() -> str:
    """A digest of every file of the front end, and of the packages that are installed beside it."""
    parts = [f"{FORMAT} {sys.version} {sys.prefix}"]
    for room in ("dspec.compiler", "dspec.grammar", "dspec.runtime"):
        spec = find_spec(room)
        for place in (spec and spec.submodule_search_locations) or ():
            parts += _stamps(place, 4)
    for place in sys.path:
        if place.endswith(("site-packages", "dist-packages")):
            parts.append(f"{place} {os.stat(place).st_mtime_ns}")  # noqa: PTH116
    return _digest("\0".join(parts))


def _stamps(folder: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.is_dir(follow_symlinks=False):
                if depth and entry.name not in ("__pycache__", "templates"):
                    yield from _stamps(entry.path, depth - 1)
            elif entry.name.endswith((".py", ".json")):
                status = entry.stat()
                yield f"{entry.path} {status.st_size} {status.st_mtime_ns}"


def _name(paths: Sequence[Path], deep: bool) -> str:
    places = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - keeps links, as names do
    recipe = json.dumps([FORMAT, deep, places])
    return "check-" + hashlib.sha256(recipe.encode()).hexdigest()


def _roots(paths: Sequence[Path]) -> list[str]:
    """The roots of the files' projects. A new marker file would change them."""
    folders = {path.absolute().parent for path in paths}
    return sorted({str(project_root(folder / "any")) for folder in folders})


class _Writing:
    """Diagnostics as plain data, with the sources that they point into numbered."""

    def __init__(self) -> None:
        self._sources: dict[int, tuple[int, Source]] = {}

    def sources(self) -> list[dict[str, str]]:
        return [
            {"path": str(source.path), "name": source.name, "text": _digest(source.text)}
            for _, source in self._sources.values()
        ]

    def diagnostic(self, found: Diagnostic) -> dict[str, object]:
        return {
            "code": found.code,
            "severity": found.severity,
            "message": found.message,
            "labels": [self._label(label) for label in (found.primary, *found.secondary)],
            "notes": list(found.notes),
            "help": found.help,
            "fixes": [
                {
                    "title": fix.title,
                    "safe": fix.applicability == "machine",
                    "edits": [[*self._place(edit.location), edit.replacement] for edit in fix.edits],
                }
                for fix in found.fixes
            ],
        }

    def _label(self, label: Label) -> list[object]:
        return [*self._place(label.location), label.text]

    def _place(self, location: Location) -> tuple[int, int, int]:
        source = location.source
        number, _ = self._sources.setdefault(id(source), (len(self._sources), source))
        return number, location.start, location.end


class _Reading:
    """Diagnostics from plain data. Raises KeyError, TypeError, ValueError or OSError for what does not fit."""

    def __init__(self, entry: dict[str, Any], root: Path) -> None:
        self._entry = entry
        self._sources: list[Source] = [_source(plain, root) for plain in entry["sources"]]

    def found(self) -> CheckResult:
        sampled = tuple(_text(name) for name in self._entry["sampled"])
        diagnostics = tuple(self._diagnostic(plain) for plain in self._entry["diagnostics"])
        return CheckResult(diagnostics, sampled, int(self._entry["left_out"]))

    def _diagnostic(self, plain: dict[str, Any]) -> Diagnostic:
        code, severity = plain["code"], plain["severity"]
        if not re.fullmatch(r"DS[0-9]{4}", code) or severity not in get_args(Severity):
            raise ValueError(code)
        primary, *secondary = [self._label(label) for label in plain["labels"]]
        return Diagnostic(
            code,
            severity,
            _text(plain["message"]),
            primary,
            tuple(secondary),
            tuple(_text(note) for note in plain["notes"]),
            _text(plain["help"]),
            tuple(self._fix(fix) for fix in plain["fixes"]),
        )

    def _fix(self, plain: dict[str, Any]) -> Fix:
        edits = tuple(Edit(self._location(edit), _text(edit[3])) for edit in plain["edits"])
        return Fix(_text(plain["title"]), edits, "machine" if plain["safe"] is True else "maybe")

    def _label(self, plain: list[Any]) -> Label:
        return Label(self._location(plain), _text(plain[3]))

    def _location(self, plain: list[Any]) -> Location:
        number: object = plain[0]
        if not isinstance(number, int):
            raise ValueError(plain)
        source = self._sources[number]
        start: object = plain[1]
        end: object = plain[2]
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= len(source.text)):
            raise ValueError(plain)
        return Location(source, start, end)


def _source(plain: dict[str, Any], root: Path) -> Source:
    """The source as it is now. Raises ValueError where its text is not the one that was checked."""
    path, expected = Path(_text(plain["path"])), plain["text"]
    text = ""
    if expected != _digest(text):
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise ValueError(path)
        with path.open("rb") as stream:
            text = stream.read(MAX_SOURCE_BYTES + 1).decode("utf-8-sig")
        if _digest(text) != expected:
            raise ValueError(path)
    return Source(path, _text(plain["name"]), text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
