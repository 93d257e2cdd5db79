"""What was compiled before, read from the artifact of an optimize block. Nothing of it runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from dspec.compiler.check.session import Session
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.diagnostics.settings import compiled_folder
from dspec.compiler.diagnostics.wording import plural
from dspec.runtime.artifact.artifact import Artifact, read_artifact
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import parts
from dspec.runtime.schema.program import Predictor

SUFFIX = ".dspc.json"
MAX_BYTES = 4 << 20
"""A larger artifact is not read for an editor, which would wait for it."""


def compiled(session: Session, symbol: Symbol) -> Artifact | None:
    """The artifact of a block of the root file, if there is one inside the project that can be read."""
    place = place_of(symbol.location.source.path, symbol.name)
    try:
        real = place.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError):
        return None
    if not real.is_relative_to(session.root) or "." in symbol.key or status.st_size > MAX_BYTES:
        return None
    return _read(real, status.st_mtime_ns, status.st_size)


def place_of(path: Path, name: str) -> Path:
    """Where `dspc compile` puts the artifact of a block of the file at `path`."""
    return compiled_folder(path) / f"{name}{SUFFIX}"


class ArtifactMove(Struct, frozen=True):
    """An artifact that is called like a block which gets another name."""

    before: Path
    after: Path


def moved(symbol: Symbol, new: str) -> ArtifactMove | None:
    """The artifact of a block that is to be called `new`: none where there is no such file, or one of the new name."""
    if symbol.kind != "optimize":
        return None
    path = symbol.location.source.path
    move = ArtifactMove(place_of(path, symbol.name), place_of(path, new))
    try:
        fits = move.before.is_file() and not move.before.is_symlink() and not move.after.exists()
    except OSError:
        return None
    return move if fits else None


@lru_cache(maxsize=16)
def _read(path: Path, _changed: int, _size: int) -> Artifact | None:
    try:
        return read_artifact(path)
    except ArtifactError:
        return None


def tuned_predictors(artifact: Artifact, name: str) -> list[tuple[str, Predictor]]:
    """The predictors of a module by their addresses, as they were compiled."""
    return [
        (address, predictor)
        for program in parts(artifact.program)[:1]
        for address, predictor in program.predictors.items()
        if address == name or address.startswith(f"{name}.")
    ]


def scores(artifact: Artifact) -> str:
    """`right 81.0 on val (64 rows)`, or nothing where it was not scored."""
    role = "val" if "val" in artifact.scores else "train"
    score = artifact.scores.get(role)
    if score is None:
        return ""
    return f"{score.metric} {100 * score.score:.1f} on {role} ({plural(score.n, 'row')})"
