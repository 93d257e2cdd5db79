"""Tells what bytes are by how they begin: pictures, sounds, PDF and text, with their size in pixels or seconds.

Nothing is decoded. What is looked at is bounded, and every number that a file claims is checked against what the bytes could
be. A file that claims nothing sensible is of its type without a size.
"""

from __future__ import annotations

from msgspec import Struct

HEAD = 256 * 1024
"""Bytes from the beginning that are looked at: a JPEG may have a thumbnail and a colour profile before its size."""
_LONGEST_SIDE = 1 << 24
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9)}
"""JPEG's markers that nothing follows."""


class Looks(Struct, frozen=True):
    """What some bytes are; `size` is in pixels, (0, 0) where nobody knows, `seconds` 0 where nobody knows."""

    type: str
    size: tuple[int, int] = (0, 0)
    seconds: float = 0.0


def look(head: bytes, length: int) -> Looks | None:
    """What a file of that length is, by its first `HEAD` bytes; None where it is nothing that is known here."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Looks("image/png", _sides(head[16:20], head[20:24], "big"))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Looks("image/gif", _sides(head[6:8], head[8:10], "little"))
    if head.startswith(b"\xff\xd8\xff"):
        return Looks("image/jpeg", _jpeg(head))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Looks("image/webp", _webp(head))
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return Looks("audio/wav", seconds=_wave(head, length))
    if head[:4] == b"fLaC":
        return Looks("audio/flac")
    if head[:4] == b"OggS":
        return Looks("audio/ogg")
    if head[4:8] == b"ftyp" and head[8:11] == b"M4A":
        return Looks("audio/mp4")
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)):
        return Looks("audio/mpeg")
    if b"%PDF-" in head[:1024]:
        return Looks("application/pdf")
    return Looks("text/plain") if length and _is_text(head, whole=len(head) == length) else None


def _sides(width: bytes, height: bytes, order: str) -> tuple[int, int]:
    big = order == "big"
    return _sensible(
        int.from_bytes(width, "big" if big else "little"), int.from_bytes(height, "big" if big else "little")
    )


def _sensible(width: int, height: int) -> tuple[int, int]:
    return (width, height) if 0 < width < _LONGEST_SIDE and 0 < height < _LONGEST_SIDE else (0, 0)


def _jpeg(head: bytes) -> tuple[int, int]:
    """The frame's size, from the segments before it."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # a byte that fills up
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _START_OF_FRAME:
            return _sides(head[at + 7 : at + 9], head[at + 5 : at + 7], "big")
        else:
            at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return (0, 0)


def _webp(head: bytes) -> tuple[int, int]:
    """The canvas, in whichever of the three forms the file has it."""
    form = head[12:16]
    if form == b"VP8X" and len(head) >= 30:
        return _sensible(*(1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27)))
    if form == b"VP8 " and head[23:26] == b"\x9d\x01\x2a" and len(head) >= 30:
        return _sensible(*(int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28)))
    if form == b"VP8L" and head[20:21] == b"\x2f" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return _sensible(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    return (0, 0)


def _wave(head: bytes, length: int) -> float:
    """Seconds of a sound that is not compressed; 0 of any other."""
    at = 12
    while at + 24 <= len(head):
        size = int.from_bytes(head[at + 4 : at + 8], "little")
        if head[at : at + 4] == b"fmt ":
            form, channels = (int.from_bytes(head[at + 8 + i : at + 10 + i], "little") for i in (0, 2))
            rate = int.from_bytes(head[at + 12 : at + 16], "little")
            bits = int.from_bytes(head[at + 22 : at + 24], "little")
            plain = form in (1, 3, 0xFFFE) and 1 <= channels <= 8 and 4_000 <= rate <= 384_000
            if plain and bits in (8, 16, 24, 32, 64):
                return length * 8 / (channels * rate * bits)
            return 0.0
        at += 8 + size + size % 2
    return 0.0


def _is_text(head: bytes, *, whole: bool) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return not whole and error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
