"""Fetching rows that are no file of the project, and keeping them.

Only where the user asks for things to happen: `dspc check --deep`, `dspc compile` and `dspc eval`. A
check, a plan and the editor read what was kept (`snapshots`) and never come here.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Literal

from dspec.runtime.errors import ConfigurationError

from .. import ir
from ..project.state import rows_folder, state_folder
from . import opening, snapshots
from .problem import DataError, unreadable
from .sources.base import Fetch, FetchedSource, Limits, Snapshot
from .sources.table import is_fetched, source_of, title

When = Literal["never", "missing", "always"]


LIMITS = Limits()


def fetch(
    source: ir.DataSource, folder: Path, root: Path | None = None, *, when: When, limits: Limits = LIMITS
) -> Snapshot | None:
    """Fetch the source's rows and keep them; None where nothing was to be fetched.

    Raises DataError (`unreadable`) that says why they cannot be had. What was kept before stays then.
    """
    found = source_of(source)
    if not isinstance(found, FetchedSource) or when == "never":
        return None
    import shutil
    import tempfile

    root = root or opening.root_of(folder)
    try:
        known = snapshots.find(source, folder, root)
    except DataError as error:
        if error.problems[0].kind != "unfetched":
            raise
        known = None
    if known is not None and when == "missing":
        return None
    name = snapshots.key(source, folder, root)
    try:
        state_folder(root)
        rows_folder(root).mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="new-", dir=rows_folder(root)))
    except (ConfigurationError, OSError) as error:
        raise unreadable(f"the rows of `{title(source)}` cannot be kept: {error}") from None
    try:
        rows = work / "rows.jsonl"
        intact = partial(snapshots.is_intact, root=root)
        order = Fetch(source, title(source), folder, root, work, rows, limits, known, intact)
        fetched = found.fetch(order)
        return fetched if fetched is known else snapshots.keep(rows, fetched, name)
    except OSError as error:
        raise unreadable(f"the rows of `{title(source)}` cannot be kept: {error.strerror or error}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Fetcher:
    """Fetches for all that one command checks: each source once, however many files name it.

    With `only`, no others are fetched.
    """

    def __init__(self, when: When = "never", only: Collection[ir.DataSource] | None = None) -> None:
        self._when: When = when
        self._only = only
        self._errors: dict[tuple[Path, str], DataError | None] = {}

    def fetch(self, source: ir.DataSource, folder: Path, root: Path) -> Snapshot | None:
        """What was fetched; None where nothing was to be, or it was before. Raises DataError as `fetch` does."""
        if not is_fetched(source) or self._when == "never":
            return None
        if self._only is not None and source not in self._only:
            return None
        name = root, snapshots.key(source, folder, root)
        if name in self._errors:
            if error := self._errors[name]:
                raise DataError(error.problems)
            return None
        try:
            kept = fetch(source, folder, root, when=self._when)
        except DataError as error:
            self._errors[name] = error
            raise
        self._errors[name] = None
        return kept
