"""`dspc` as a user runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import atexit
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from forking import SCRIPT as DSPC
from forking import Forks

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
TOO_LONG = 300.0
"""Seconds after which a command is ended."""
AT_START = ("PYTHON", "LANG", "LC_")
"""How variables begin that an interpreter reads when it starts: with one of them a command is no fork."""


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
    whole = {**clean, "COLUMNS": "110", "NO_COLOR": "1", **environment}
    forked = hasattr(os, "fork") and not any(name.startswith(AT_START) for name in environment)
    run = _forked if forked else _started
    result = run([str(one) for one in arguments], cwd, stdin, whole)
    assert "Traceback" not in result.text, result.text
    return result


def _started(arguments: list[str], folder: Path, given: str, environment: dict[str, str]) -> Result:
    done = subprocess.run(
        [str(DSPC), *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=TOO_LONG,
        env=environment,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _forked(arguments: list[str], folder: Path, given: str, environment: dict[str, str]) -> Result:
    with tempfile.TemporaryFile() as read, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        read.write(given.encode())
        read.seek(0)
        streams = [one.fileno() for one in (read, out, err)]
        code = forks().start(arguments, folder, environment, streams).wait(TOO_LONG)
        texts: list[str] = []
        for one in (out, err):
            one.seek(0)
            texts.append(one.read().decode().replace("\r\n", "\n"))
        return Result(code, *texts)


@cache
def forks() -> Forks:
    """One server for a whole run of tests."""
    forks = Forks().__enter__()
    atexit.register(forks.__exit__)
    return forks
