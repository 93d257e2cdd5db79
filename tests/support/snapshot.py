"""Expected output as plain text files beside the tests; `DSPEC_UPDATE=1 pytest …` rewrites them."""

from __future__ import annotations

import os
from pathlib import Path


def check_snapshot(path: Path, text: str) -> None:
    """Compare `text` with the file at `path`, or write it there when updating."""
    if os.environ.get("DSPEC_UPDATE") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((text + "\n").encode())
    assert path.exists(), f"there is no snapshot {path.name}: run with DSPEC_UPDATE=1 and read what it wrote"
    assert text + "\n" == path.read_bytes().decode()
