"""Compares an artifact's file, and what lies beside it, with the hashes that it says they have.

Reading an artifact refuses rows and media that are not as they were written; this reads every one of them, tuned weights to
the last byte, and says what became of each. Whoever can change a file can change its hash: this tells of accidents, and
not of malice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ..errors import ArtifactError, ConfigurationError
from ..models.checkpoints import digest_of
from ..schema.types import JsonValue
from ..values.media import media_in
from .artifact import MAX_BYTES, Artifact, own_digest, parse_artifact
from .attached import MAX_FILES
from .beside import MAX_BYTES as MAX_BESIDE
from .beside import is_beside
from .files import open_regular, read_regular
from .strict import strict_json
from .tuned import is_weights

State = Literal["same", "differs", "absent", "unknown"]
"""What became of something that was hashed: it is as it was, it is another, it is not there, or nobody can tell from here."""


class Verified(Struct, frozen=True):
    """One thing held against its hash: `what` it is and its `name`; `then` and `now` are hashes, or what stands for them."""

    what: str
    name: str
    state: State
    then: str | None = None
    now: str | None = None
    note: str = ""


def compared(what: str, name: str, then: str | None, now: str | None, note: str = "") -> Verified:
    """`then` None: nobody wrote it down. `now` None: it is not there."""
    state: State = (
        "unknown" if then is None else "absent" if now is None else "same" if then == now else "differs"
    )
    return Verified(what, name, state, then, now, note)


def verify_file(path: Path) -> tuple[Artifact | None, list[Verified]]:
    """The artifact in a file, None where what should lie beside it is missing or changed, and what became of its parts.

    Raises ArtifactError for a file that is no artifact.
    """
    try:
        data = read_regular(path, MAX_BYTES)
        plain = strict_json(data)
        said, has = own_digest(plain)
        note = "" if said else "it was written before artifacts had a hash of their own"
        found = [compared("artifact", path.name, said, has, note), *_beside(plain, path.parent)]
        try:
            return parse_artifact(data, path.parent), found
        except ArtifactError:
            if all(one.state == "same" for one in found[1:]):
                raise
            return None, found
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", help=error.help) from None


def _beside(plain: JsonValue, folder: Path) -> Iterator[Verified]:
    """What lies beside an artifact, as its JSON names it. Names that lead anywhere else are left to `parse_artifact`."""
    if not isinstance(plain, dict):
        return
    for one in _members(plain, "beside"):
        name, then = one.get("file"), one.get("sha256")
        if isinstance(name, str) and isinstance(then, str) and is_beside(name):
            yield compared("rows", name, then, _digest(folder / name))
    for one in _members(plain, "media"):
        name, line = one.get("file"), one.get("line")
        medium = next(media_in(line), None) if isinstance(line, str) else None
        if isinstance(name, str) and medium is not None and is_beside(name):
            yield compared("media", name, medium.sha256, _digest(folder / name))
    for one in _members(plain, "weights"):
        name, then = one.get("folder"), one.get("sha256")
        if isinstance(name, str) and isinstance(then, str) and is_weights(name):
            yield compared("weights", name, then, _weights(folder / name))


def _members(plain: dict[str, JsonValue], name: str) -> Iterator[dict[str, JsonValue]]:
    listed = plain.get(name)
    for one in listed[:MAX_FILES] if isinstance(listed, list) else []:
        if isinstance(one, dict):
            yield one


def _digest(path: Path) -> str | None:
    found = hashlib.sha256()
    try:
        with open_regular(path, MAX_BESIDE) as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
    except ArtifactError as error:
        return error.message if path.exists() else None
    return found.hexdigest()


def _weights(folder: Path) -> str | None:
    if folder.is_symlink() or not folder.is_dir():
        return None
    try:
        return digest_of(folder)
    except ConfigurationError as error:
        return error.message
