"""The shortest way through commands that editors, hooks and pipelines run all day: `dspc check` where nothing has changed,
`dspc fmt`, `dspc lsp` and `dspc --version`.

It takes what it can answer exactly as the long way would: arguments in their plainest form, and a check whose result is
remembered. For all else it says nothing, and the command line starts as usual. What it takes to read arguments of any
kind, and to draw, costs several times as much as these commands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..project.caches import FolderCache
    from .console import Exit


def quickly(arguments: Sequence[str], begin: Callable[[], None] = lambda: None) -> Exit | None:
    """The code to leave with, where all is done and said; None where the long way has to be gone. `begin` is called before
    files are written or an editor is served."""
    match arguments:
        case ["--version"]:
            return _version()
        case ["check", *words]:
            return _check(words)
        case ["fmt", *words]:
            return _fmt(words, begin)
        case ["lsp"] | ["lsp", "--stdio"]:
            return _lsp(None, begin)
        case ["lsp", "--log-file", file] | ["lsp", "--stdio", "--log-file", file] if file[:1] != "-":
            return _lsp(file, begin)
        case _:
            return None


def _version() -> Exit:
    from importlib.metadata import version

    from .console import Exit

    print(f"dspc {version('dspc')}")  # noqa: T201
    return Exit.OK


def _check(words: list[str]) -> Exit | None:
    paths, style, strict = list[str](), "human", False
    left = iter(words)
    for word in left:
        if word == "--strict":
            strict = True
        elif word == "--format":
            style = next(left, "")
        elif word.startswith("--format="):
            style = word.removeprefix("--format=")
        elif word.startswith("-"):
            return None
        else:
            paths.append(word)

    from ..check.unchanged import recall

    try:
        sources = sources_at([Path(path) for path in paths] or [Path()])
        found = recall(check_cache(sources[0]), sources, deep=False) if sources else None
    except (OSError, ValueError, RuntimeError):
        return None
    if found is None:
        return None

    from .telling import Format, tell

    return tell(sources, found, Format(style), strict=strict) if style in set(Format) else None


def _fmt(words: list[str], begin: Callable[[], None]) -> Exit | None:
    paths = [word for word in words if not word.startswith("-") or word == "-"]
    flags = {word for word in words if word not in paths}
    if not flags <= {"--check", "--diff"}:
        return None
    check, diff = "--check" in flags, "--diff" in flags
    try:
        sources = [] if paths == ["-"] else sources_at([Path(word) for word in paths] or [Path()])
    except OSError:
        return None
    if not sources and paths != ["-"]:
        return None

    from .formatting import format_files, format_input

    begin()
    if not sources:
        return format_input(check=check, diff=diff)
    return format_files(sources, check=check, diff=diff)


def _lsp(log_file: str | None, begin: Callable[[], None]) -> Exit:
    from .console import Exit
    from .language_server import serve

    begin()
    serve(None if log_file is None else Path(log_file))
    return Exit.OK


def check_cache(source: Path) -> FolderCache:
    """Where results of checking a file are kept."""
    from ..project.caches import FolderCache
    from ..project.state import checks_folder, project_root

    return FolderCache(checks_folder(project_root(source)))


def sources_at(paths: Sequence[Path]) -> list[Path]:
    """The `.dspec` files named, and those below the folders named, sorted; hidden folders left out.

    Raises FileNotFoundError, with the path as its text, for one that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(_below(path)))
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(str(path))
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Links to folders are not followed, so a loop of them ends nothing."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".dspec"):
                yield Path(place, name)
