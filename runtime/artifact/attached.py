"""Writes and reads the images, audio and files of a program's demos, one file each beside the artifact.

The artifact has their lines (`values/media`), and names the files with their digests. A file's name ends in the beginning of
its digest, so a new artifact never meets the media of an older one. A file that is missing or changed is refused as the
artifact itself would be, and no name leads out of the artifact's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ArtifactError
from ..schema.ensemble import Runnable, parts
from ..schema.program import Demo, Predictor, Program
from ..schema.types import Frozen, JsonValue
from ..values.media import (
    Blob,
    Medium,
    MediumKind,
    content,
    is_history,
    keep,
    known,
    media_in,
    medium_kind,
    of_file,
)
from .beside import MEDIA, stem_of
from .files import write_whole
from .strict import REMEDY

MAX_FILES = 10_000
MAX_HELD = 64 * 1024**2
"""So much is read into memory: an application that runs goes on when its artifact is replaced. Of more, places are kept."""
_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "application/pdf": "pdf",
    "text/plain": "txt",
}


class MediaFile(Frozen):
    """Where a medium lies that demos show, as its line says it is."""

    file: str
    """A name in the artifact's folder."""
    line: str


def shows_media(program: Runnable) -> bool:
    """Whether demos of the program show images, audio or files."""
    return next(_shown(program), None) is not None


def write_media(artifact: Path, program: Runnable) -> tuple[MediaFile, ...]:
    """Write what the demos show beside the artifact. Raises OSError, ConfigurationError where it is no longer what it was."""
    written: dict[str, MediaFile] = {}
    for one in _shown(program):
        if one.sha256 in written or one.url or not known(one.sign, one.kind):
            continue
        name = f"{stem_of(artifact)}.media-{one.sha256[:16]}.{_ENDINGS[one.type]}"
        write_whole(artifact.resolve().with_name(name), content(one))
        written[one.sha256] = MediaFile(file=name, line=one.sign)
    return tuple(written.values())


def read_media(folder: Path, files: Sequence[MediaFile]) -> None:
    """Make known what lies beside an artifact. Raises ArtifactError for a file that is not as it was written."""
    if len(files) > MAX_FILES:
        raise ArtifactError(f"media: {len(files):,} files, and {MAX_FILES:,} are the most", help=REMEDY)
    held = sum(found.bytes for one in files for found in media_in(one.line)) <= MAX_HELD
    for place, one in enumerate(files):
        found = next(media_in(one.line), None)
        if not MEDIA.fullmatch(one.file) or found is None or found.sign != one.line or found.url:
            raise ArtifactError(f"media[{place}]: is not the place of an image, audio or a file", help=REMEDY)
        try:
            seen, blob = of_file((folder / one.file).resolve(), found.kind)
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ArtifactError(
                f"{one.file}, which a demo shows, cannot be read: {why}", help=REMEDY
            ) from None
        if seen != found:
            raise ArtifactError(f"{one.file}, which a demo shows, is not as it was written", help=REMEDY)
        keep(blob)
        if held:
            keep(Blob(blob.sha256, content(seen)))


def media_faults(program: Program, where: str) -> Iterator[str]:
    """Demos that show what is not there."""
    for address, predictor in program.predictors.items():
        kinds: dict[str, MediumKind] = {
            one.name: kind for one in predictor.signature.inputs if (kind := medium_kind(one.type))
        }
        for place, demo in enumerate(_demos(program, address, predictor) if kinds else ()):
            for name, kind in kinds.items():
                value = demo.inputs.get(name)
                for one in value if isinstance(value, list) else [value]:
                    if one is not None and not known(one, kind):
                        yield f"{where}.predictors.{address}.demos[{place}].inputs.{name}: it is not there"
                        return


def _shown(program: Runnable) -> Iterator[Medium]:
    for part in parts(program):
        for address, predictor in part.predictors.items():
            if any(medium_kind(one.type) or is_history(one.type) for one in predictor.signature.inputs):
                for demo in _demos(part, address, predictor):
                    for value in demo.inputs.values():
                        yield from _in_value(value)


def _demos(program: Program, address: str, predictor: Predictor) -> Iterator[Demo]:
    yield from predictor.demos
    for row in program.neighbours.rows if program.neighbours is not None else ():
        for kept in (row.bootstrapped, row.labelled):
            if address in kept:
                yield kept[address]


def _in_value(value: JsonValue) -> Iterator[Medium]:
    match value:
        case str():
            yield from media_in(value)
        case list():
            for one in value:
                yield from _in_value(one)
        case dict():
            for one in value.values():
                yield from _in_value(one)
        case _:
            pass
