"""Small images, sounds and files, whole and real."""

from __future__ import annotations

import struct
import zlib

GIF = b"GIF89a\x02\x00\x03\x00\x00\x00\x00,\x00\x00\x00\x00\x02\x00\x03\x00\x00\x02\x00;"
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def png(width: int, height: int, shade: int = 0) -> bytes:
    """A grey picture, of another content for every shade."""
    lines = b"".join(
        b"\0" + bytes((shade * 7 + x * 3 + y) % 256 for x in range(width)) for y in range(height)
    )

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int, before: int = 0) -> bytes:
    """The segments of a JPEG as far as its frame, behind so many bytes of a thumbnail."""
    thumbnail = b"\xff\xe1" + struct.pack(">H", before + 2) + bytes(before)
    return (
        b"\xff\xd8"
        + thumbnail
        + b"\xff\xc0"
        + struct.pack(">HBHHB", 11, 8, height, width, 1)
        + b"\1\x11\0"
        + b"\xff\xd9"
    )


def wav(seconds: float, rate: int = 8_000) -> bytes:
    data = bytes(int(seconds * rate)) + b"\x80"
    head = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(width: int, height: int, form: str) -> bytes:
    """The beginning of a WebP in one of its three forms."""
    match form:
        case "VP8X":
            chunk = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        case "VP8L":
            chunk = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
        case _:
            chunk = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    name = form.ljust(4).encode()
    return (
        b"RIFF" + struct.pack("<I", 20 + len(chunk)) + b"WEBP" + name + struct.pack("<I", len(chunk)) + chunk
    )
