"""Places for small results that can be computed again: texts by name.

Entries may vanish or be damaged at any time; whoever recalls one must check it. Nothing here raises,
and nothing heavy is imported: an unchanged check reads one entry and little else.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_MAX_BYTES = 4 << 20


class FolderCache(Struct, frozen=True):
    """Results in a folder, for commands: made when the first one is kept, and out of version control."""

    folder: Path

    def recall(self, name: str) -> str | None:
        """What was remembered under the name, or None."""
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(self.folder / f"{name}.json", flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None  # a pipe would be waited for
                return file.read(_MAX_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            return None

    def remember(self, name: str, text: str) -> None:
        """Written beside its place and renamed there: another process sees all of it or nothing."""
        temporary = self.folder / f"{name}.{os.getpid()}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.folder / f"{name}.json")
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
