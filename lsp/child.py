"""A process that works for the server and may be killed: it is given bytes, and gives some."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECONDS = 60.0
"""After which a process is killed: nothing is said of data that takes longer."""


def command(module: str) -> tuple[str, ...]:
    """What runs the `serve` of a module of ours; no module of the folder that it runs in comes before. It
    ends when this process does."""
    return sys.executable, "-P", "-c", f"from {module} import serve; serve({os.getpid()})"


class Child:
    """One process, which serves with a module of ours."""

    def __init__(self, module: str) -> None:
        self._command = command(module)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def run(self, given: bytes, folder: Path) -> bytes:
        """What the process wrote until it ended. Blocks, so it is called in a thread."""
        if self._killed:
            return b""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder if folder.is_dir() else None,
        )
        if self._killed:
            self.kill()
        try:
            output, _ = self._process.communicate(given, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            output, _ = self._process.communicate()
        return output

    def kill(self) -> None:
        self._killed = True
        if self._process is not None:
            self._process.kill()
