"""Messages from a stream: a header in any case, then a body of the length that it names.

What makes no sense is skipped up to the next header that does, and never ends the conversation: a length that no message
has, a header without a length, a body that breaks off in the middle of another message.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Protocol

logger = logging.getLogger(__name__)

MAX_BODY = 64 << 20
"""Bytes of the longest message. A document has 4 MiB at most; a message has it once, or each of many edits of it."""
_MAX_LINE = 1 << 16
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*([0-9]{1,20})[ \t]*\r?\n", re.IGNORECASE)


class Readable(Protocol):
    def readline(self, size: int = -1, /) -> bytes: ...
    def read(self, size: int = -1, /) -> bytes: ...


def bodies(stream: Readable) -> Iterator[bytes]:
    """The bodies of the messages in a stream, until it ends. Blocks, so it runs in a thread."""
    length: int | None = None
    while line := stream.readline(_MAX_LINE):
        if found := _LENGTH.fullmatch(line):
            length = int(found[1])
            if length > MAX_BODY:
                logger.warning("skipped a message of %d bytes; at most %d are read", length, MAX_BODY)
                length = None
        elif not line.strip() and length is not None:
            body = stream.read(length)
            if len(body) < length:
                return
            length = None
            yield body
