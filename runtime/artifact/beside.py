"""Writes and reads the rows of a large index, in a file beside the artifact, which has its name and checksum.

Each line is one JSON object. The name ends in the checksum, so a new artifact never meets the rows of an older one.
Files of older ones are removed once the new artifact is written. A file that is missing, cut short or changed is
refused as the artifact itself would be, and no name leads out of the artifact's folder.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import ValidationError

from ..errors import ArtifactError
from ..index.limits import MAX_ROWS
from ..schema.program import Neighbour
from ..schema.types import Frozen
from .files import open_regular, write_whole
from .strict import REMEDY, strict_json

MAX_BYTES = 1024**3
MAX_LINE = 16 * 1024**2
MEDIA = re.compile(r"[^/\\:\0]{1,200}\.media-[0-9a-f]{16}\.[a-z0-9]{3,4}")
"""How files with what demos show are called (`attached`)."""
_NAME = re.compile(r"[^/\\:\0]{1,200}\.rows-[0-9a-f]{16}\.jsonl")


class RowsFile(Frozen):
    """Where the rows of one program's index lie."""

    part: int
    """Which program: an ensemble's members in their order, then the one that reduces; otherwise 0."""
    file: str
    """A name in the artifact's folder."""
    sha256: str
    rows: int


def write_rows(artifact: Path, part: int, rows: Iterable[Neighbour]) -> RowsFile:
    """Write the rows beside the artifact. Raises OSError, also for more rows than `read_rows` takes."""
    lines = [row.model_dump_json(exclude_defaults=True).encode() + b"\n" for row in rows]
    if sum(map(len, lines)) > MAX_BYTES or max(map(len, lines), default=0) > MAX_LINE:
        raise OSError(errno.EFBIG, "the rows of the index are too large")
    data = b"".join(lines)
    checksum = hashlib.sha256(data).hexdigest()
    name = f"{stem_of(artifact)}.rows-{checksum[:16]}.jsonl"
    write_whole(artifact.resolve().with_name(name), data)
    return RowsFile(part=part, file=name, sha256=checksum, rows=len(lines))


def remove_others(artifact: Path, kept: Collection[str]) -> None:
    """Remove the rows and media of artifacts that stood in this one's place."""
    before = tuple(f"{stem_of(artifact)}.{what}-" for what in ("rows", "media"))
    for entry in artifact.resolve().parent.iterdir():
        name = entry.name
        if name.startswith(before) and name not in kept and (_NAME.fullmatch(name) or MEDIA.fullmatch(name)):
            entry.unlink(missing_ok=True)


def is_beside(name: str) -> bool:
    """Whether it is the name of a file with rows or a medium."""
    return bool(_NAME.fullmatch(name) or MEDIA.fullmatch(name))


def stem_of(artifact: Path) -> str:
    return artifact.name.removesuffix(".json").removesuffix(".dspc")[:180]


def read_rows(folder: Path, place: RowsFile) -> tuple[Neighbour, ...]:
    """The rows of the index. Raises ArtifactError that says what is wrong, and where."""
    name = place.file
    if not _NAME.fullmatch(name):
        raise ArtifactError(f"{name[:80]!r} is not the name of a file with an index's rows", help=REMEDY)
    if not 0 <= place.rows <= MAX_ROWS:
        raise ArtifactError(
            f"{name}: {place.rows:,} rows, and an index has at most {MAX_ROWS:,}", help=REMEDY
        )
    checksum = hashlib.sha256()
    found: list[Neighbour] = []
    try:
        with open_regular(folder / name, MAX_BYTES) as file:
            while line := file.readline(MAX_LINE + 1):
                checksum.update(line)
                if len(found) == place.rows or len(line) > MAX_LINE:
                    raise ArtifactError("is not as it was written", help=REMEDY)
                found.append(_row(line, len(found) + 1))
    except ArtifactError as error:
        raise ArtifactError(f"the index's rows in {name}: {error.message}", help=error.help) from None
    if checksum.hexdigest() != place.sha256 or len(found) != place.rows:
        raise ArtifactError(f"the index's rows in {name}: is not as it was written", help=REMEDY)
    return tuple(found)


def _row(line: bytes, number: int) -> Neighbour:
    try:
        strict_json(line)
        return Neighbour.model_validate_json(line, strict=True)
    except (ArtifactError, ValidationError) as error:
        said = error.message if isinstance(error, ArtifactError) else error.errors()[0]["msg"].lower()
        raise ArtifactError(f"line {number}: {said}", help=REMEDY) from None
