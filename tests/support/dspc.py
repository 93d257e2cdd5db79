"""`dspc` as a user runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DSPC = Path(sys.executable).parent / "dspc"
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def dspc(*arguments: str | Path, cwd: Path, stdin: str = "", **environment: str) -> Result:
    """Runs `dspc` in `cwd`; never shows a traceback, whatever the arguments, or the test fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DSPEC_"))}
    done = subprocess.run(
        [str(DSPC), *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**clean, "COLUMNS": "110", "NO_COLOR": "1", **environment},
    )
    result = Result(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in result.text, result.text
    return result
