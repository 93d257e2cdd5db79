"""Trainings on disk: a folder each, named by the digest of all that determines what comes of it.

So a training that was done is never done again, and one that was begun is found again by whoever runs the same command,
however the first process ended. A folder holds `rows.jsonl`, the chats; `job.json`, how far it is, written before anything
waits for it; and on this machine `weights`, what came of it. All of it may be deleted: then it is trained anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dspec.runtime.artifact.files import write_whole
from dspec.runtime.errors import ConfigurationError

from .base import TrainingJob

FOLDER = "training"
_MAX_BYTES = 1 << 20


def folder_of(state: Path, key: str) -> Path:
    """Where a training is kept in a project's state."""
    return state / FOLDER / key[:32]


def read(folder: Path) -> TrainingJob | None:
    """The training in a folder; None where there is none, or what is there cannot be read."""
    try:
        data = (folder / "job.json").read_bytes()
        return msgspec.json.decode(data, type=TrainingJob) if len(data) <= _MAX_BYTES else None
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def write(folder: Path, job: TrainingJob) -> None:
    """Keep how far a training is. Raises ConfigurationError where that cannot be written."""
    try:
        write_whole(folder / "job.json", msgspec.json.format(msgspec.json.encode(job), indent=2) + b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"how far a training is cannot be written to {folder}: {error.strerror or error}",
            help="make room there; nothing goes on that could not be found again",
        ) from error


def listed(state: Path) -> Iterator[tuple[Path, TrainingJob]]:
    """Every training of a project, by its folder's name."""
    place = state / FOLDER
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if (job := read(folder)) is not None:
            yield folder, job
