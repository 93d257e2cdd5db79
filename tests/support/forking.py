"""`dspc` from a process that has imported it already: each command is a fork, which starts in a tenth of the time.

The server is an interpreter of its own with no thread, no loop and no open file; a fork of it runs the console script's own
`main` in a session of its own, in the folder, with the environment and the streams that it is given, and ends as a process
does.

    with Forks() as forks:
        command = forks.start(["compile", "main.dspec"], folder, environment)
        command.kill()
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SCRIPT = Path(sys.executable).parent / "dspc"
APART = "_worker"
"""How modules are named that are scripts of their own."""
PAUSE = 0.005
"""Seconds between two looks at whether a command has ended."""


class Forks:
    """Life cycle: one per test module, or one for all; closing it ends the server, not what it started."""

    def __enter__(self) -> Forks:
        ours, theirs = socket.socketpair()
        self._channel, self._lock = ours, threading.Lock()
        self._answers = ours.makefile("r", encoding="utf-8")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__)), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"},
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.shutdown(socket.SHUT_WR)
        self._process.wait(timeout=10)
        self._answers.close()
        self._channel.close()

    def start(
        self,
        arguments: list[str],
        folder: Path,
        environment: dict[str, str],
        streams: Sequence[int] = (),
    ) -> Forked:
        """Begin a command. `streams` are the descriptors of its input, output and errors; without them it has none."""
        asked = {"do": "start", "arguments": arguments, "folder": str(folder), "environment": environment}
        return Forked(self, self.ask(asked, streams))

    def ask(self, message: dict[str, Any], streams: Sequence[int] = ()) -> Any:
        with self._lock:
            self._channel.sendall(json.dumps({**message, "streams": len(streams)}).encode() + b"\n")
            if streams:
                socket.send_fds(self._channel, [b"."], list(streams))
            return json.loads(self._answers.readline())


@dataclass(frozen=True)
class Forked:
    server: Forks
    pid: int

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.server.ask({"do": "poll", "pid": self.pid})

    def wait(self, seconds: float) -> int:
        """The exit code. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"still running after {seconds} seconds")
            time.sleep(PAUSE)
        return code

    def kill(self) -> None:
        """kill -9, the process and whatever it started."""
        self.server.ask({"do": "kill", "pid": self.pid})


def _run(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> NoReturn:
    os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, stream in enumerate(streams or [nothing] * 3):
        os.dup2(stream, number)
    for stream in {nothing, *streams}:
        os.close(stream)
    # As an interpreter opens them: what a stream is, a terminal for one, is looked at then.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(SCRIPT), *arguments]
    code = 1
    try:
        from dspec.compiler.cli.main import main

        main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End as an interpreter does: threads that are waited for, what is to be done at exit, output that is still held."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException:  # noqa: BLE001 - an output that is gone
        code = code or 120
    os._exit(code)


def _serve(channel: socket.socket) -> None:
    for package in map(importlib.import_module, ("dspec.compiler", "dspec.runtime")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(APART):
                with contextlib.suppress(
                    ModuleNotFoundError
                ):  # what an extra brings, where it is not installed
                    importlib.import_module(module.name)
    gc.freeze()
    ended: dict[int, int] = {}

    def poll(pid: int, options: int) -> int | None:
        if pid not in ended:
            found, status = os.waitpid(pid, options)
            if found:
                ended[pid] = os.waitstatus_to_exitcode(status)
        return ended.get(pid)

    while line := _line(channel):
        message = json.loads(line)
        count = message.pop("streams")
        streams = socket.recv_fds(channel, 1, count)[1] if count else []
        answer: object = None
        match message.pop("do"):
            case "start":
                answer = os.fork()
                if not answer:
                    channel.close()
                    _run(**message, streams=streams)
            case "kill":
                if poll(message["pid"], os.WNOHANG) is None:
                    os.killpg(message["pid"], signal.SIGKILL)
                    poll(message["pid"], 0)
            case _:
                answer = poll(message["pid"], os.WNOHANG)
        for stream in streams:
            os.close(stream)
        channel.sendall(json.dumps(answer).encode() + b"\n")


def _line(channel: socket.socket) -> bytes:
    """The next line, read byte by byte: descriptors that come behind it must not be read with it."""
    found = b""
    while not found.endswith(b"\n"):
        if not (byte := channel.recv(1)):
            return b""
        found += byte
    return found


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as opened:
        _serve(opened)
