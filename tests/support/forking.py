"""`dspc` from a process that has imported it already: each command is a fork, which starts in a tenth of the time.

For tests that start the same command a hundred times to kill it. The server is an interpreter of its own with no
thread, no loop and no open file; a fork of it runs the console script's own `main` in a session of its own.

    with Forks() as forks:
        command = forks.start(["compile", "main.dspec"], folder, environment)
        command.kill()
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

WANTED = (
    "dspec.compiler.cli.compile",
    "dspec.compiler.cli.report",
    "dspec.compiler.cli.progress",
    "dspec.compiler.cli.session",
    "dspec.compiler.cli.app",
    "dspec.compiler.check.analysis",
    "dspec.compiler.compile.pipeline",
    "dspec.compiler.compile.changes",
    "dspec.compiler.evaluate.eventlog",
    "dspec.runtime.models.transports.lean",
)
"""What a compile imports on its way."""


class Forks:
    """Life cycle: one per test module; closing it ends the server, not what it started."""

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def start(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> Forked:
        asked = {"do": "start", "arguments": arguments, "folder": str(folder), "environment": environment}
        return Forked(self, self.ask(asked))

    def ask(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Forked:
    server: Forks
    pid: int

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.server.ask({"do": "poll", "pid": self.pid})

    def kill(self) -> None:
        """kill -9, the process and whatever it started."""
        self.server.ask({"do": "kill", "pid": self.pid})


def _run(arguments: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["dspc", *arguments]
    code = 1
    try:
        from dspec.compiler.cli.main import main

        main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        os._exit(code)


def _serve() -> None:
    for module in WANTED:
        importlib.import_module(module)
    ended: dict[int, int] = {}

    def poll(pid: int, options: int) -> int | None:
        if pid not in ended:
            found, status = os.waitpid(pid, options)
            if found:
                ended[pid] = os.waitstatus_to_exitcode(status)
        return ended.get(pid)

    for line in sys.stdin:
        message = json.loads(line)
        answer: object = None
        match message.pop("do"):
            case "start":
                answer = os.fork()
                if not answer:
                    _run(**message)
            case "kill":
                if poll(message["pid"], os.WNOHANG) is None:
                    os.killpg(message["pid"], signal.SIGKILL)
                    poll(message["pid"], 0)
            case _:
                answer = poll(message["pid"], os.WNOHANG)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
