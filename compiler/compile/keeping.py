"""Writes what a compile gave where it takes nothing better away.

A compile that ran to its end writes the block's artifact. One that was cut short writes it only where nothing stands, or where
what stands was itself cut short and is no better. Otherwise that stays, and the result goes beside it, as
`NAME.partial.dspc.json`; the next whole result removes it.

So does the result of a block that was to give the cheapest program which reaches a gate, where none does for certain.

Runs without an answer score 0 where `on_error` says so, so a whole result with such runs may be worse for no fault of its
program. It does not take the place of one with a better score by the same metric on the same rows, and goes beside it in the
same way.

A compile that was asked to score nothing cannot tell whether its result is better. A whole one is written all the same, since
that was asked for, and the report tells of an artifact with a score whose place it took (`Kept.replaced`). One that was cut
short leaves such an artifact as it is.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from dspec.runtime.artifact.artifact import Artifact, Score, read_artifact, remove_artifact, write_artifact
from dspec.runtime.artifact.files import beside_of
from dspec.runtime.errors import ArtifactError, ConfigurationError

from .remarks import SETTLED, ZEROED

SUFFIX = ".dspc.json"
PARTIAL = ".partial" + SUFFIX


class Kept(Struct, frozen=True):
    """Where a result went: `place`, or None where what stands there is better. `stays` are the artifacts left as they were."""

    place: Path | None
    stays: tuple[Path, ...] = ()
    replaced: Score | None = None
    """Of an artifact whose place an unscored one took."""
    better: Score | None = None
    """Of an artifact that stays, since a result with unanswered runs scored less."""


def partial_of(artifact: Path) -> Path:
    """Where a result goes that was cut short, while something else stands in the artifact's place."""
    return artifact.with_name(artifact.name.removesuffix(SUFFIX) + PARTIAL)


def is_whole(artifact: Artifact) -> bool:
    """Whether the compile ran to its end: it then notes nothing but that its start is perfect, or which zeros are failures'.
    One that was cut short notes why, and what its result is."""
    further = [note for note in artifact.notes if not note.endswith((SETTLED, ZEROED))]
    # Earlier versions said in other words that runs got no answer.
    return len(further) <= (artifact.provenance.unanswered is not None)


def keep(path: Path, artifact: Artifact, *, whole: bool, beside: bool = False) -> Kept:
    """Write the result; where it is not what was asked for, `beside` what may stand in its place, whatever that is.

    Raises ConfigurationError where that is not possible; what stood there stands.
    """
    if whole:
        old = _standing(path) if artifact.provenance.unanswered or not artifact.scores else None
        better = _better(old, artifact) if old is not None and artifact.provenance.unanswered else None
        if better is not None:
            _write(partial_of(path), artifact)
            return Kept(partial_of(path), (path,), better=better)
        replaced = None if old is None or artifact.scores else next(iter(old.scores.values()), None)
        _write(path, artifact)
        remove_artifact(partial_of(path))
        return Kept(path, replaced=replaced)
    stands = os.path.lexists(path)
    if not beside and (not stands or _may_replace(path, artifact)):
        _write(path, artifact)
        return Kept(path)
    partial, stays = partial_of(path), (path,) if stands else ()
    if not beside and os.path.lexists(partial) and not _may_replace(partial, artifact):
        return Kept(None, (*stays, partial))
    _write(partial, artifact)
    return Kept(partial, stays)


def _standing(path: Path) -> Artifact | None:
    """The artifact that stands there; None where none can be read."""
    try:
        return read_artifact(path)
    except ArtifactError:
        return None


def _better(old: Artifact, new: Artifact) -> Score | None:
    """The old one's score, where that is more than the new one's by the same metric on the same rows."""
    if not _comparable(old, new):
        return None
    better = (score for role, score in old.scores.items() if new.scores[role].score < score.score)
    return next(better, None)


def _comparable(old: Artifact, new: Artifact) -> bool:
    """Whether both were scored by the same metric on the same rows."""
    same = (old.provenance.metric, old.provenance.data) == (new.provenance.metric, new.provenance.data)
    return same and all(role in new.scores for role in old.scores)


def _may_replace(path: Path, new: Artifact) -> bool:
    """Whether what stands there was cut short, too, and `new` is no worse by the same metric on the same rows."""
    old = _standing(path)
    if old is None or is_whole(old):
        return False
    if not old.scores:
        return True
    return _comparable(old, new) and all(
        new.scores[role].score >= score.score for role, score in old.scores.items()
    )


def _write(path: Path, artifact: Artifact) -> None:
    try:
        write_artifact(path, artifact)
    except OSError as error:
        raise ConfigurationError(
            f"the artifact {path} cannot be written: {error.strerror or error}",
            help="every answer is kept: make room for it, and run the same command again",
        ) from error


def check_writable(path: Path) -> None:
    """Raises ConfigurationError where an artifact could not be written to `path`. Leaves nothing behind."""
    try:
        place = path.resolve()
        if place.is_dir():
            raise IsADirectoryError(21, "there is a folder of this name", str(path))
        folder = place.parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(20, f"{folder} is a file, and a folder is needed", str(path))
        with suppress(FileNotFoundError):  # a name may be too long for what is written before it
            os.lstat(folder / beside_of(partial_of(place)).name)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"the artifact {path} cannot be written: {getattr(error, 'strerror', None) or error}",
            help="`--out` names another folder; no model was asked",
        ) from error
