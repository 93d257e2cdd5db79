"""`dspc` on a terminal: what a person sees, and types."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from dspc import TOO_LONG, Result, forks


def on_terminal(
    *arguments: str | Path, cwd: Path, typed: str = "", until: str = "", **environment: str
) -> Result:
    """Runs `dspc` with all three streams on a terminal of its own. `typed` is written once `until` is shown."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DSPEC_"))}
    clean.pop("CI", None)
    whole = {**clean, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "xterm", **environment}
    main, side = os.openpty()
    try:
        process = forks().start(list(map(str, arguments)), cwd, whole, [side] * 3)
    finally:
        os.close(side)
    shown, ends = b"", time.monotonic() + TOO_LONG
    try:
        while time.monotonic() < ends:
            if not select.select([main], [], [], 1.0)[0]:
                continue
            try:
                some = os.read(main, 65_536)
            except OSError:  # the last process at the other end is gone
                break
            if not some:
                break
            shown += some
            if typed and until.encode() in shown:
                os.write(main, typed.encode())
                typed = ""
        code = process.wait(10.0)
    finally:
        process.kill()
        os.close(main)
    text = shown.decode(errors="replace").replace("\r\n", "\n")
    assert "Traceback" not in text, text
    return Result(code, text, "")
