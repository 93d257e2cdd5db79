"""Lets a command finish its work when what it says can no longer be written, or not in the terminal's alphabet.

What is lost on standard error is lost. A loss on standard output is remembered, and said when the command ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO, cast


class Stream:
    """A standard stream that takes everything; `lost` says why it does not pass it on any more."""

    def __init__(self, stream: TextIO | None) -> None:
        self.lost = "" if stream is not None else "it is closed"
        # Where it is closed, its number must not go to a file that is opened next.
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115

    def write(self, text: str) -> int:
        if not self.lost:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self.lost:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        self.lost = (error.strerror if isinstance(error, OSError) else None) or str(error)
        # The interpreter would try once more when it ends, and complain.
        try:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self._stream.fileno())
            os.close(sink)
        except (OSError, ValueError):
            pass

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def guarded() -> Stream:
    """Puts both streams in place and gives standard output. What an alphabet lacks is written as its number."""
    for stream in (sys.stdout, sys.stderr):
        if (change := getattr(stream, "reconfigure", None)) is not None:
            change(errors="backslashreplace")
    out = Stream(cast("TextIO | None", sys.stdout))
    sys.stdout = cast("TextIO", out)
    sys.stderr = cast("TextIO", Stream(cast("TextIO | None", sys.stderr)))
    return out
