"""Pictures, sounds and files as values: what stands in a row, and where their bytes are.

A value of such a type is a line that says what it is, `<image: image/png, 800x600, 1234 bytes, sha256 …>` or
`<image: https://…>`. It is a text like any other to whatever copies, hashes, keeps or shows values, never holds megabytes, and is
another one when the content is. The bytes are read again when a request is sent, from the file where they were seen
(`Blob`), and only if they are still those. What is given by its URL is nothing that we fetch: the provider does.

Blobs are known by their digest for the whole process, as equal texts may be one text: no result depends on who brought them.
Those of files say where the file is, those that an application passes are held by whoever runs it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args
from weakref import WeakValueDictionary

from msgspec import Struct

from ..errors import ConfigurationError
from ..schema.types import JsonValue, ListOf, OptionalOf, Scalar, Type
from .headers import HEAD, Looks, look

MediumKind = Literal["image", "audio", "file"]
KINDS: tuple[MediumKind, ...] = get_args(MediumKind)
MAX_BYTES = 20 * 1024 * 1024
"""Of one value."""
MAX_REQUEST_BYTES = 50 * 1024 * 1024
"""Of all that one request carries."""
MAX_URL = 8_000

_TYPES: dict[MediumKind, tuple[str, ...]] = {
    "image": ("image/png", "image/jpeg", "image/gif", "image/webp"),
    "audio": ("audio/wav", "audio/mpeg", "audio/flac", "audio/ogg", "audio/mp4"),
    "file": ("application/pdf", "text/plain"),
}
_KNOWN_AS: dict[MediumKind, str] = {
    "image": "a PNG, JPEG, GIF or WebP image",
    "audio": "WAV, MP3, FLAC, Ogg or M4A audio",
    "file": "a PDF or UTF-8 text",
}
_URL = r"https?://[^\s<>\"\\\x00-\x1f\x7f]{1,8000}"
_SIGN = re.compile(
    rf"<(?P<kind>image|audio|file): (?:(?P<url>{_URL})|(?P<type>[a-z]+/[a-z0-9]+), "
    r"(?:(?P<width>\d{1,8})x(?P<height>\d{1,8}), )?(?:(?P<ms>\d{1,12}) ms, )?(?P<bytes>\d{1,9}) bytes, "
    r"sha256 (?P<sha256>[0-9a-f]{64}))>"
)
_DATA = re.compile(r"data:[\w.+/-]{0,100}(?:;[\w.+-]{1,100}=[\w.+-]{1,100}){0,10};base64,", re.IGNORECASE)


class Medium(Struct, frozen=True):
    """What a value's line says. Of one that is given by its URL nothing else is known."""

    kind: MediumKind
    url: str = ""
    type: str = ""
    size: tuple[int, int] = (0, 0)
    milliseconds: int = 0
    bytes: int = 0
    sha256: str = ""

    @property
    def sign(self) -> str:
        """The line that stands for it as a value."""
        if self.url:
            return f"<{self.kind}: {self.url}>"
        size = f"{self.size[0]}x{self.size[1]}, " if all(self.size) else ""
        long = f"{self.milliseconds} ms, " if self.milliseconds else ""
        return f"<{self.kind}: {self.type}, {size}{long}{self.bytes} bytes, sha256 {self.sha256}>"

    def tokens(self, model: str = "") -> int:
        """Tokens that it is billed as, at most, whatever the provider."""
        match self.kind:
            case "image":
                return _image_tokens(self.size, model)
            case "audio":
                if self.milliseconds:
                    return 100 + math.ceil(self.milliseconds * AUDIO_TOKENS / 1000)
                return 100 + (self.bytes or MAX_BYTES) // AUDIO_BYTES
            case "file":
                if self.type == "text/plain":
                    return 100 + self.bytes
                return PAGE_TOKENS + FILE_TOKENS * (self.bytes or MAX_BYTES)


# A maximum, not a price: what the dearest provider was seen to bill.
IMAGE_TOKENS = 2_000
"""Of an image, whatever its size."""
PATCH_TOKENS = 5
"""And of each square of 32 x 32 pixels that it begins."""
LARGEST_IMAGE = IMAGE_TOKENS + PATCH_TOKENS * 64 * 64
"""Providers scale down what is larger than 2048 x 2048 pixels, and of a URL nobody knows the size."""
TIMES_DEARER = 12
"""Of models that count an image's tokens many times."""
_DEARER = re.compile(r"gpt-4o-mini")
AUDIO_TOKENS = 50
"""Of a second."""
AUDIO_BYTES = 15
"""Bytes of compressed sound for a token: 6 kbit/s."""
PAGE_TOKENS = 5_000
FILE_TOKENS = 4
"""Of each byte of a PDF: providers count its text, and each page once more as an image."""


def _image_tokens(size: tuple[int, int], model: str) -> int:
    patches = math.ceil(size[0] / 32) * math.ceil(size[1] / 32)
    tokens = min(LARGEST_IMAGE, IMAGE_TOKENS + PATCH_TOKENS * patches) if patches else LARGEST_IMAGE
    return tokens * dearness(model)


def dearness(model: str) -> int:
    """How many times the usual a model counts media."""
    return TIMES_DEARER if _DEARER.search(model) else 1


def medium_kind(kind: Type) -> MediumKind | None:
    """What medium the values of a type are, alone or in a list, where there may be none; None of any other type."""
    kind = kind.item if isinstance(kind, OptionalOf) else kind
    kind = kind.item if isinstance(kind, ListOf) else kind
    return kind.name if isinstance(kind, Scalar) and kind.name in KINDS else None


def is_history(kind: Type) -> bool:
    kind = kind.item if isinstance(kind, OptionalOf) else kind
    return isinstance(kind, Scalar) and kind.name == "history"


@lru_cache(maxsize=4096)
def medium(sign: str) -> Medium | None:
    """What a value's line stands for; None where it is no such line."""
    found = _SIGN.fullmatch(sign)
    return None if found is None else _read(found)


def _read(found: re.Match[str]) -> Medium:
    kind: MediumKind = next(kind for kind in KINDS if kind == found["kind"])
    if found["url"]:
        return Medium(kind, found["url"])
    size = (int(found["width"] or 0), int(found["height"] or 0))
    return Medium(kind, "", found["type"], size, int(found["ms"] or 0), int(found["bytes"]), found["sha256"])


def media_in(text: str) -> Iterator[Medium]:
    """The media whose lines stand anywhere in a text, as in a value written as JSON."""
    if "sha256 " in text or ": http" in text:
        yield from map(_read, _SIGN.finditer(text))


# Where the bytes are ------------------------------------------------------------------------------


class Blob(Struct, frozen=True, weakref=True):
    """Bytes, or the file that had them."""

    sha256: str
    data: bytes | None = None
    path: Path | None = None


_BLOBS: WeakValueDictionary[str, Blob] = WeakValueDictionary()
_KEPT: dict[str, Blob] = {}
"""Those that nobody else holds: rows' and artifacts' files, of which only the place is kept."""


def keep(blob: Blob) -> None:
    """Holds a blob for as long as the process lives."""
    if blob.sha256 not in _KEPT or _KEPT[blob.sha256].data is None:
        _KEPT[blob.sha256] = blob


def content(one: Medium) -> bytes:
    """The bytes of a medium. Raises ConfigurationError where they are no longer what they were."""
    blob = _KEPT.get(one.sha256) or _BLOBS.get(one.sha256)
    if blob is None:
        raise ConfigurationError(f"the content of {one.sign} is not there")
    if blob.data is not None:
        return blob.data
    assert blob.path is not None
    try:
        with opened(blob.path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{blob.path} cannot be read any more: {why}") from None
    if hashlib.sha256(data).hexdigest() != one.sha256:
        raise ConfigurationError(
            f"{blob.path} has changed since it was read", help="run the same command again"
        )
    return data


# What is given ------------------------------------------------------------------------------------


def of_text(text: str, kind: MediumKind) -> tuple[Medium, Blob | None]:
    """What a URL or a `data:` URL gives. Raises ValueError for anything else; nothing is opened or fetched."""
    if text[:5].lower() == "data:":
        return of_bytes(_decoded(text), kind)
    if re.fullmatch(_URL, text) and len(text) <= MAX_URL:
        if kind == "audio":
            raise ValueError("audio is given as a file or as data: the chat format has no place for its URL")
        return Medium(kind, text), None
    raise ValueError(f"expected {KIND_WORDS[kind]}")


KIND_WORDS: dict[MediumKind, str] = {
    kind: f"{_KNOWN_AS[kind]}, as a path, a URL (http or https), a `data:` URL or bytes" for kind in KINDS
}


def _decoded(text: str) -> bytes:
    head = _DATA.match(text[:2048])
    if head is None:
        raise ValueError("expected a `data:` URL in base64: `data:image/png;base64,…`")
    if (len(text) - head.end()) * 3 // 4 > MAX_BYTES + 3:
        raise _too_large((len(text) - head.end()) * 3 // 4)
    try:
        return base64.b64decode(text[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the base64 of the `data:` URL is broken") from None


def of_bytes(data: bytes, kind: MediumKind) -> tuple[Medium, Blob]:
    """What bytes are, which the blob holds. Raises ValueError where they are no such medium."""
    if len(data) > MAX_BYTES:
        raise _too_large(len(data))
    looks = looks_like(data[:HEAD], len(data), kind)
    digest = hashlib.sha256(data).hexdigest()
    blob = _BLOBS.get(digest)
    if blob is None or blob.data is None:
        blob = _BLOBS[digest] = Blob(digest, data)
    return _medium(looks, kind, len(data), digest), blob


def of_file(path: Path, kind: MediumKind) -> tuple[Medium, Blob]:
    """What a file is; the blob remembers its place. Raises ValueError where it is no such medium, OSError where it cannot
    be read."""
    with opened(path) as file:
        digest = hashlib.sha256()
        head = file.read(HEAD)
        length = len(head)
        digest.update(head)
        while chunk := file.read(1 << 20):
            length += len(chunk)
            digest.update(chunk)
            if length > MAX_BYTES:
                raise _too_large(length)
    looks = looks_like(head, length, kind)
    return _medium(looks, kind, length, digest.hexdigest()), Blob(digest.hexdigest(), path=path)


def glance(path: Path, kind: MediumKind) -> None:
    """Whether a file is such a medium, by its beginning alone. Raises ValueError and OSError as `of_file` does."""
    with opened(path) as file:
        looks_like(file.read(HEAD), os.fstat(file.fileno()).st_size, kind)


def opened(path: Path):
    """A regular file of at most `MAX_BYTES`. Raises ValueError for any other."""
    flags = os.O_RDONLY
    # A named pipe would block before it can be refused; links were followed by whoever decided that they may be.
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags)
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise ValueError("it is not a regular file")
    if about.st_size > MAX_BYTES:
        os.close(handle)
        raise _too_large(about.st_size)
    return os.fdopen(handle, "rb")


def looks_like(head: bytes, length: int, kind: MediumKind) -> Looks:
    """What bytes are that begin so. Raises ValueError where that is no medium of this kind."""
    if not length:
        raise ValueError("it is empty")
    looks = look(head, length)
    if looks is None or looks.type not in _TYPES[kind]:
        found = "" if looks is None else f"; it is {looks.type}"
        raise ValueError(f"expected {_KNOWN_AS[kind]}{found}")
    return looks


def _medium(looks: Looks, kind: MediumKind, length: int, digest: str) -> Medium:
    return Medium(kind, "", looks.type, looks.size, math.ceil(looks.seconds * 1000), length, digest)


def _too_large(size: int) -> ValueError:
    return ValueError(f"it has {size / 1024**2:.1f} MB; at most {MAX_BYTES // 1024**2} are sent")


def known(sign: JsonValue, kind: MediumKind) -> bool:
    """Whether a value is the line of a medium of this kind whose bytes are there, or which has a URL."""
    one = medium(sign) if isinstance(sign, str) and len(sign) <= MAX_URL + 20 else None
    if one is None or one.kind != kind:
        return False
    return bool(one.url) or one.sha256 in _KEPT or one.sha256 in _BLOBS
