"""The shortest way through the most frequent command: `dspc check` where nothing has changed.

It answers only what it can answer exactly as the long way would: plain paths, a remembered result, no
finding in it. For all else it says nothing, and the command line starts as usual.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..check.unchanged import recall
from ..project.caches import FolderCache
from ..project.state import checks_folder, project_root


def nothing_new(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for a check that is known to find nothing; if so, that was said."""
    if not arguments or arguments[0] != "check" or any(word.startswith("-") for word in arguments):
        return False
    try:
        sources = sources_at([Path(word) for word in arguments[1:]] or [Path()])
        found = recall(check_cache(sources[0]), sources, deep=False) if sources else None
    except (OSError, ValueError, RuntimeError):
        return False
    if found is None or found.diagnostics or found.sampled:
        return False
    sys.stderr.write(f"{files_checked(sources)}: no problems\n")
    return True


def files_checked(sources: Sequence[Path]) -> str:
    return f"{len(sources)} file{'s' if len(sources) > 1 else ''} checked"


def check_cache(source: Path) -> FolderCache:
    """Where results of checking a file are kept."""
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
