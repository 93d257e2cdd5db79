"""Writing files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.artifact.files import write_whole


def write_text(path: Path, text: str) -> None:
    """Replace a file's text: written beside it, synced, renamed over it. Raises OSError."""
    write_whole(path, text.encode(errors="surrogatepass"))
