"""Fetched rows as they are kept: `rows/` in the project's state folder.

A snapshot is two files. `KEY.json` says what it is and names the other, `KEY-DIGEST.jsonl`, which has
the rows and is read like any jsonl file. The key is made of everything that names the source, of
`python` also of the module's text; the first file is written last, so there is never half a snapshot.
Reading one fetches nothing. Both are input: whatever does not fit its shape is no snapshot.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from dspec.runtime.schema.program import digest

from .. import ir
from ..project.state import rows_folder
from . import opening
from .problem import DataError, DataProblem, unreadable
from .sources.base import FetchedSource, Snapshot
from .sources.table import is_fetched, source_of, title

VERSION = 1
"""Raise when a snapshot's meaning changes."""

_MAX_NOTE = 1 << 20
NOTE = re.compile(r"[0-9a-f]{32}\.json")
FILE = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}\.jsonl")
"""How the two files are called."""


def find(source: ir.DataSource, folder: Path, root: Path | None = None) -> Snapshot:
    """The rows of a fetched source as last kept. Raises DataError (`unfetched`) where there are none."""
    root = root or opening.root_of(folder)
    try:
        return noted(key(source, folder, root), root)
    except (ValidationError, DataError) as error:
        if isinstance(error, DataError) and error.problems[0].kind == "outside":
            raise
    raise DataError(
        [
            DataProblem(
                kind="unfetched",
                message=f"the rows of `{title(source)}` are not known yet: {_fetched(source).unknown}",
                help="`dspc check --deep` with this file fetches and keeps them",
            )
        ]
    )


def noted(key: str, root: Path) -> Snapshot:
    """The snapshot of that key. Raises DataError where there is none, ValidationError for a note that says nothing."""
    place = rows_folder(root)
    with opening.open_inside(f"{key}.json", place, place) as stream:
        found = Snapshot.model_validate_json(stream.read(_MAX_NOTE))
    if not FILE.fullmatch(found.file):
        raise unreadable(f"`{found.file[:80]}` is no file of rows")
    opening.resolve_inside(found.file, place, place)
    return found


def located(source: ir.DataSource, folder: Path, root: Path | None = None) -> tuple[str, Path, Path | None]:
    """The file that has a source's rows, as `opening` takes it: path, folder, border. Raises DataError."""
    if not is_fetched(source):
        return source.path, folder, root
    place = rows_folder(root or opening.root_of(folder))
    return find(source, folder, root).file, place, place


def key(source: ir.DataSource, folder: Path, root: Path) -> str:
    """Names a source's snapshot. Raises DataError where what it is made of is not there."""
    return digest([VERSION, *_fetched(source).identity(source, folder, root)])[:32]


def _fetched(source: ir.DataSource) -> FetchedSource:
    found = source_of(source)
    assert isinstance(found, FetchedSource), source.kind
    return found


def is_intact(snapshot: Snapshot, root: Path) -> bool:
    """Whether the rows are still the ones that were kept."""
    place = rows_folder(root)
    try:
        with opening.open_inside(snapshot.file, place, place) as stream:
            return snapshot.file.partition("-")[2].startswith(_digest(stream))
    except (DataError, OSError):
        return False


def keep(written: Path, snapshot: Snapshot, name: str) -> Snapshot:
    """Make the rows in the file `written`, which lies beside, the snapshot called `name`. Raises OSError."""
    from ..project.files import write_text  # it brings what writes artifacts, which no check needs

    place = written.parent.parent
    with written.open("rb+") as stream:
        os.fsync(stream.fileno())
        kept = snapshot.model_copy(update={"file": f"{name}-{_digest(stream)}.jsonl"})
    written.replace(place / kept.file)
    write_text(place / f"{name}.json", kept.model_dump_json(indent=2) + "\n")
    for old in place.glob(f"{name}-*.jsonl"):
        if old.name != kept.file:
            old.unlink(missing_ok=True)
    return kept


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        found.update(chunk)
    return found.hexdigest()[:32]
