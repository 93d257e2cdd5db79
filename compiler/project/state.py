"""Where a project keeps what it learned: `.dspec/` in the project's root.

Everything in it can be deleted at any time: answers would be paid again, nothing else is lost.
`DSPEC_STATE_DIR` moves it, for machines whose checkout is read-only or shared.
"""

from __future__ import annotations

import os
from pathlib import Path

from dspec.runtime.errors import ConfigurationError

ROOT_MARKERS = ("dspec.toml", "pyproject.toml", ".git")


def project_root(path: Path) -> Path:
    """The nearest folder at or above `path`'s that marks a project, else the folder itself."""
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError):  # a loop of symbolic links
        folder = path.absolute().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / marker).exists() for marker in ROOT_MARKERS):
            return candidate
    return folder


def checks_folder(root: Path) -> Path:
    """Where results of looking at data files are kept. Nothing is made until there is one to keep."""
    return _place(root) / "checks"


def rows_folder(root: Path) -> Path:
    """Where fetched rows are kept. Nothing is made until there are some."""
    return _place(root) / "rows"


def state_place(root: Path) -> Path:
    """Where the state folder is, or would be."""
    return _place(root)


def _place(root: Path) -> Path:
    override = os.environ.get("DSPEC_STATE_DIR")
    return Path(override).expanduser() if override else root / ".dspec"


def state_folder(root: Path) -> Path:
    """The state folder, made if absent and kept out of version control.

    Raises `ConfigurationError` when it cannot be written.
    """
    folder = _place(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable", str(folder))
    except OSError as error:
        from dspec.runtime.models.upgrades import trouble  # here, since it brings sqlite3 along

        raise ConfigurationError(
            f"the state folder {folder} cannot be used: {error.strerror or error}",
            help="make room on the disk, or set DSPEC_STATE_DIR to a folder that has some"
            if trouble(str(error)) == "full"
            else "make it writable, or set DSPEC_STATE_DIR to a folder that is",
        ) from error
    return folder
