"""Where the weights of `local/…` models lie, and whether they are what they are said to be.

A checkpoint is a folder as `transformers` writes it: `config.json`, weights as safetensors, a tokenizer. Only names of
kinds that hold data are read; pickles and code are none of it, whatever else the folder has. A checkpoint is known by
the digest of these files, so that it may be moved, and one that was changed is refused.

The table of places is the process's own: it says where bytes are, and changes no answer, since an address is their digest.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigurationError, NotSet
from ..schema.lms import LM, TunedWeights

LOCAL = "local"
PREFIX = f"{LOCAL}/"
MAX_FILES = 1_000
_KEPT = re.compile(r"[A-Za-z0-9][\w.+-]{0,150}\.(?:safetensors|json|jinja|txt|model)", re.ASCII)
_WEIGHTS = ".safetensors"
_CHUNK = 1 << 20

Stamp = tuple[int, int, int, int]

_guard = threading.Lock()
_places: dict[str, Path] = {}
"""Folders, by the digest of tuned weights, or by the name of a model that was not tuned."""
_digests: dict[Path, tuple[Stamp, str]] = {}
"""Digests of files that were read, as long as they stay what they were."""


def is_local(model: str) -> bool:
    """Whether a model is a checkpoint on this machine, which answers in this process."""
    return model.startswith(PREFIX)


def names_in(folder: Path) -> dict[str, int]:
    """The files that make up a checkpoint, with their bytes, in order. Raises ConfigurationError where it is none."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        found = {
            entry.name: entry.stat().st_size
            for entry in entries
            if _KEPT.fullmatch(entry.name) and stat.S_ISREG(entry.stat().st_mode)
        }
    except OSError as error:
        raise ConfigurationError(
            f"the checkpoint {folder.name} cannot be read: {error.strerror or error}",
            help="a `local/…` model names a folder below the project's root",
        ) from None
    if "config.json" not in found or not any(name.endswith(_WEIGHTS) for name in found):
        raise ConfigurationError(
            f"{folder.name} is no checkpoint: it lacks `config.json`, or weights as safetensors",
            help="`save_pretrained` of transformers writes such a folder; weights in pickles are never loaded",
        )
    if len(found) > MAX_FILES:
        raise ConfigurationError(f"{folder.name} is no checkpoint: it has more than {MAX_FILES:,} files")
    return found


def digest_of(folder: Path) -> str:
    """SHA-256 of a checkpoint: of its files' names, sizes and contents. A file is read again where it was touched.

    Raises ConfigurationError.
    """
    total = hashlib.sha256()
    for name, size in names_in(folder).items():
        total.update(f"{name}\0{size}\0{_file_digest(folder / name)}\n".encode())
    return total.hexdigest()


def weights_of(folder: Path, base: str) -> TunedWeights:
    """What an artifact says of a checkpoint that was tuned from `base`. Raises ConfigurationError."""
    return TunedWeights(sha256=digest_of(folder), files=names_in(folder), base=base)


def faults(weights: TunedWeights, folder: Path) -> str:
    """What tells at a glance that a folder does not hold these weights, as a clause; "" where nothing does."""
    try:
        found = names_in(folder)
    except ConfigurationError as error:
        return error.message
    missing = [name for name in weights.files if name not in found]
    if missing:
        return f"{missing[0]} is missing"
    changed = [name for name, size in found.items() if weights.files.get(name) != size]
    return f"{changed[0]} is not as it was written" if changed else ""


def know(key: str, folder: Path) -> None:
    """From now on the weights of this digest, or the model of this name, lie there."""
    with _guard:
        _places[key] = folder


def know_all(lms: Mapping[str, LM], root: Path) -> None:
    """Untuned checkpoints among these models lie below `root`, where nobody has said otherwise."""
    for lm in lms.values():
        if is_local(lm.model) and lm.weights is None:
            know(lm.model, root / lm.model.removeprefix(PREFIX))


def place_of(lm: LM) -> Path:
    """The folder with a model's weights, unread. Raises ConfigurationError where nobody knows one."""
    key = lm.model if lm.weights is None else lm.weights.sha256
    with _guard:
        found = _places.get(key)
    if found is not None:
        return found
    if lm.weights is None and (given := Path(lm.model.removeprefix(PREFIX))).is_dir():
        return given.resolve()
    raise NotSet(
        f"lm {lm.name}: nobody knows where the weights of {lm.model} lie",
        help="a checkpoint is a folder below the project's root, or below where the application runs",
    )


def verified(lm: LM) -> tuple[Path, str]:
    """The folder with a model's weights, and their digest. Raises ConfigurationError where tuned weights were changed."""
    folder = place_of(lm)
    found = digest_of(folder)
    if lm.weights is not None and found != lm.weights.sha256:
        raise ConfigurationError(
            f"the weights of {lm.name} in {folder.name} are not as they were written",
            help="put the folder back as it was, or compile again",
        )
    return folder, found


def address_of(lm: LM) -> str:
    """What tells these weights from all others: part of every request's identity. Raises ConfigurationError."""
    sha256 = digest_of(place_of(lm)) if lm.weights is None else lm.weights.sha256
    return f"{LOCAL}@{sha256}"


def _file_digest(path: Path) -> str:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(file.fileno())
        stamp = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        with _guard:
            known = _digests.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        total = hashlib.sha256()
        while piece := file.read(_CHUNK):
            total.update(piece)
    with _guard:
        _digests[path] = (stamp, total.hexdigest())
    return total.hexdigest()
