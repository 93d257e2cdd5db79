"""A language client for tests: a server process, spoken to over its standard streams. Where nothing is asked of the process
itself, it is a fork of `dspc lsp`, which has imported everything."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dspc import forks

SERVE = "from dspec.lsp.server import serve; serve()"
PATIENCE = 30.0
"""Seconds to wait for a message before a test fails."""


class Piped:
    """A fork of a command and its streams, with what is used of a `Popen`."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        (its_input, stdin), (stdout, its_output), (stderr, its_errors) = (os.pipe() for _ in range(3))
        streams = [its_input, its_output, its_errors]
        self._fork = forks().start(arguments, folder, dict(os.environ), streams)
        for stream in streams:
            os.close(stream)
        self.stdin, self.stdout, self.stderr = (
            os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"), os.fdopen(stderr, "rb"),
        )  # fmt: skip

    def poll(self) -> int | None:
        return self._fork.poll()

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code. Raises TimeoutError."""
        return self._fork.wait(seconds)

    def kill(self) -> None:
        self._fork.kill()


class Client:
    """One server process. Messages are read in a thread, so that nothing here can block for good."""

    def __init__(
        self,
        *,
        code: str = SERVE,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """`code`, what a process of its own runs; `under` is a command that runs the server's, such as a tracer."""
        self.process: Piped | subprocess.Popen[bytes]
        if code != SERVE or env or under:
            self.process = subprocess.Popen(
                [*under, sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=env,
            )
        else:
            self.process = Piped(["lsp"], cwd or Path.cwd())
        self.errors = b""
        self.notifications: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        """What the server asked of the editor: each was answered with null."""
        self.told: dict[str, Any] = {}
        """What the server answered to `initialize`."""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Speaking

    def send_raw(self, body: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def notify(self, method: str, params: object) -> None:
        self.send_raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    def request(self, method: str, params: object) -> int:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.send_raw(json.dumps(message).encode())
        return self._number

    def ask(self, method: str, params: object) -> Any:
        """The result of a request; fails on an error."""
        answer = self.answer(self.request(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    def initialize(
        self,
        encodings: Sequence[str] = (),
        can: Mapping[str, Any] = MappingProxyType({}),
        options: object = None,
    ) -> dict[str, Any]:
        """`can` are the editor's further capabilities."""
        general = {"positionEncodings": list(encodings)} if encodings else {}
        capabilities = {"general": general, **can}
        result = self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": options,
            },
        )
        self.notify("initialized", {})
        self.told = result
        return result

    def open(self, uri: str, text: str, version: int = 1) -> None:
        document = {"uri": uri, "languageId": "dspec", "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    # Listening

    def answer(self, number: int) -> dict[str, Any]:
        while number not in self._answers:
            self._take()
        return self._answers.pop(number)

    def diagnostics(self, uri: str, version: int) -> list[dict[str, Any]]:
        """The next diagnostics that are published for a version of a document."""
        seen = 0
        while True:
            for position in range(seen, len(self.notifications)):
                message = self.notifications[position]
                params = message["params"]
                if (
                    message["method"] == "textDocument/publishDiagnostics"
                    and params["uri"] == uri
                    and params.get("version") == version
                ):
                    del self.notifications[: position + 1]
                    return params["diagnostics"]
            seen = len(self.notifications)
            self._take()

    def notification(self, method: str) -> dict[str, Any]:
        while True:
            for position, message in enumerate(self.notifications):
                if message["method"] == method:
                    return self.notifications.pop(position)
            self._take()

    def asked(self, method: str) -> dict[str, Any]:
        """The next request of the server by that name."""
        while True:
            for position, message in enumerate(self.requests):
                if message["method"] == method:
                    return self.requests.pop(position)
            self._take()

    def _take(self) -> None:
        message = self._inbox.get(timeout=PATIENCE)
        assert message is not None, f"the server hung up:\n{self.errors.decode()}"
        if "method" in message and "id" in message:
            self.requests.append(message)
            self.send_raw(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": None}).encode())
        elif "method" in message:
            self.notifications.append(message)
        else:
            self._answers[message["id"]] = message

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream
        while line := stream.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                line = stream.readline()
            self._inbox.put(json.loads(stream.read(length)))
        self._inbox.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.errors += line

    # Leaving

    def hang_up(self) -> int:
        """Close the server's input; its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        try:
            if not self.process.stdin.closed:
                self.process.stdin.close()
            self.process.wait(5)
        except (TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
