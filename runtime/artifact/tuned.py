"""Writes and finds the tuned weights of a program's models, a folder each beside the artifact.

The artifact has a model's name, the digest of its weights and its files with their sizes; the folder's name ends in the
beginning of the digest, so a new artifact never meets the weights of an older one. Reading looks at names and sizes, which costs
nothing however large they are; whoever is going to ask the model has their contents compared (`verify`). A folder that is
missing or changed is refused as the artifact itself would be, and no name leads out of the artifact's folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ..errors import ArtifactError, ConfigurationError
from ..models.checkpoints import digest_of, faults, know, place_of, verified
from ..schema.ensemble import Runnable, parts
from ..schema.lms import LM
from ..schema.types import Frozen
from .beside import stem_of
from .strict import REMEDY

_NAME = re.compile(r"[^/\\:\0]{1,200}\.weights-[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class WeightsFolder(Frozen):
    """Where the weights of this digest lie."""

    folder: str
    """A name in the artifact's folder."""
    sha256: str


def write_weights(artifact: Path, program: Runnable) -> tuple[WeightsFolder, ...]:
    """Copy the weights of the program's tuned models beside the artifact. Raises OSError, ConfigurationError where they are no
    longer what they were."""
    written: dict[str, WeightsFolder] = {}
    for lm in _tuned(program):
        assert lm.weights is not None
        sha256 = lm.weights.sha256
        if sha256 in written:
            continue
        name = f"{stem_of(artifact)}.weights-{sha256[:16]}"
        target = artifact.resolve().with_name(name)
        source = place_of(lm)
        if source.resolve() != target:
            source, _ = verified(lm)
            _copied(source, target, list(lm.weights.files), sha256)
        know(sha256, target)
        written[sha256] = WeightsFolder(folder=name, sha256=sha256)
    return tuple(written.values())


def _copied(source: Path, target: Path, names: Sequence[str], sha256: str) -> None:
    if target.is_dir() and not target.is_symlink() and _is(target, sha256):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        for name in names:
            shutil.copyfile(source / name, beside / name)
            with (beside / name).open("rb") as file:
                os.fsync(file.fileno())
        if target.exists():
            shutil.rmtree(target)
        beside.replace(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _is(folder: Path, sha256: str) -> bool:
    try:
        return digest_of(folder) == sha256
    except ConfigurationError:
        return False


def remove_other_weights(artifact: Path, kept: Collection[str]) -> None:
    """Remove the weights of artifacts that stood in this one's place."""
    before = f"{stem_of(artifact)}.weights-"
    for entry in artifact.resolve().parent.iterdir():
        name = entry.name
        if name.startswith(before) and name not in kept and _NAME.fullmatch(name) and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)


def find_weights(folder: Path | None, places: Sequence[WeightsFolder], program: Runnable) -> None:
    """Make known where the tuned weights beside an artifact lie. Raises ArtifactError for what is not as it was written."""
    by_digest = {one.sha256: one for one in places}
    for lm in _tuned(program):
        assert lm.weights is not None
        place = by_digest.get(lm.weights.sha256)
        if place is None or not _SHA256.fullmatch(place.sha256) or not _NAME.fullmatch(place.folder):
            raise ArtifactError(
                f"weights: those of the model {lm.name[:80]!r} are in no folder beside it", help=REMEDY
            )
        if folder is None:
            raise ArtifactError("has weights in a folder beside it, and there is no folder to look in")
        found = folder.resolve() / place.folder
        if found.is_symlink() or not found.is_dir():
            raise ArtifactError(
                f"the weights of {lm.name[:80]} lie in the folder {place.folder}, which is not beside the artifact",
                help="move both together, or compile again",
            )
        if why := faults(lm.weights, found):
            raise ArtifactError(f"the weights of {lm.name[:80]} in {place.folder}: {why}", help=REMEDY)
        know(lm.weights.sha256, found)


def is_weights(name: str) -> bool:
    """Whether it is the name of a folder with tuned weights."""
    return _NAME.fullmatch(name) is not None


def verify(program: Runnable) -> None:
    """Read the tuned weights of the program's models and compare them with what they must be. Raises ArtifactError."""
    for lm in _tuned(program):
        try:
            verified(lm)
        except ConfigurationError as error:
            raise ArtifactError(error.message, help=error.help) from None


def _tuned(program: Runnable) -> Iterator[LM]:
    for part in parts(program):
        yield from (lm for lm in part.lms.values() if lm.weights is not None)
