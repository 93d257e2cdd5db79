"""Keeps a file on disk checked while people save it, what it imports, and the data and Python that it names.

What was looked at is known with a stamp of each file and folder, so whether anything has changed is a look at the stamps, and a
check after that costs what has changed (`checking`).
"""

from __future__ import annotations

from pathlib import Path

from ..data import Fetcher
from ..project.caches import FolderCache
from ..project.loading import Files
from ..project.reads import journal, stamp
from .analysis import Analysis, analysed, failed
from .checking import Besides, ProjectCheck

POLL = 0.25
"""Seconds between two looks at the stamps."""


class Watched:
    """One file that is watched, with all that it needs. Nothing is fetched for it. One that cannot be read is a finding."""

    def __init__(
        self, path: Path, *, cache: FolderCache | None = None, besides: Besides | None = None
    ) -> None:
        self.path = path
        self._cache = cache
        self._besides = besides
        self._files = Files()
        self._checking: ProjectCheck | None = None
        self._seen: dict[str, str] = {}

    def look(self) -> Analysis:
        """What is known of the file as it is now. Raises nothing."""
        with journal() as reads:
            try:
                if self._checking is None:
                    self._checking = ProjectCheck(
                        self.path, self._files, probe=True, cache=self._cache, fetcher=Fetcher(), noting=True
                    )
                else:
                    self._files.refresh()
                    self._checking.refresh()
                found = analysed(self._checking, besides=self._besides, lowering=True)
            except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
                self._checking = None
                found = failed(self.path, "", error)
        # What checks looked at stands with their results, which are kept. Sources and settings are read each time.
        self._seen = dict(reads)
        for result in found.session.filed:
            self._seen.update(result.files or {})
        return found

    def changed(self) -> bool:
        """Whether anything that a look depended on is another one than it was then."""
        return any(stamp(name) != was for name, was in self._seen.items())
