"""A process of a module of ours that works by lines on its standard streams, on this machine or on a worker's.

It ends when its standard input does: with whoever ordered it, however that ends. On a worker's machine a host starts it there and
carries the lines; the files that it reads and writes are the same ones, so a machine that lacks their folders starts none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

MOST_LINE = 1 << 20
"""Bytes of a line that a process says at most."""
_ENDING_SECONDS = 5.0


class ProcessOrder(Struct, frozen=True):
    """What is to be started: `python -m module`, with what it writes besides in the file `log`.

    `environment` is set besides what the machine has; None takes a variable away. `folders` are those that it works in.
    """

    module: str
    log: Path
    environment: Mapping[str, str | None]
    folders: tuple[Path, ...] = ()


class LineProcess(Protocol):
    """One that was started. `where` is the machine, "" for this one; `pid` its number there."""

    pid: int
    where: str

    async def send(self, line: bytes) -> None:
        """Raises nothing: what it says, or that it says nothing, tells."""
        ...

    async def heard(self) -> bytes:
        """The next line that it says; nothing at its end. Raises ValueError for one that is too long."""
        ...

    async def code(self) -> int | None:
        """How it ended; None where it is gone with its machine."""
        ...

    async def aclose(self) -> None:
        """Ends it. Idempotent."""
        ...


StartProcess = Callable[[ProcessOrder], Awaitable[LineProcess]]


async def start_here(order: ProcessOrder) -> LineProcess:
    """On this machine. Raises OSError."""
    environment = {**os.environ, **{name: one for name, one in order.environment.items() if one is not None}}
    for name, value in order.environment.items():
        if value is None:
            environment.pop(name, None)
    order.log.parent.mkdir(parents=True, exist_ok=True)
    with order.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            order.module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
            limit=MOST_LINE,
        )
    return _Here(process)


class _Here:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.where = ""

    async def send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()

    async def heard(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def code(self) -> int | None:
        return await self._process.wait()

    async def aclose(self) -> None:
        process = self._process
        if process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _ENDING_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class ProcessHost:
    """Starts one process on its machine, and carries its lines (`HostLink`)."""

    def __init__(self) -> None:
        self._process: LineProcess | None = None

    async def start(
        self, module: str, log: str, environment: Mapping[str, str | None], folders: list[str]
    ) -> tuple[int, str] | None:
        """The process' number and the machine's name; None where that lacks one of the folders."""
        if not await asyncio.to_thread(lambda: all(Path(one).is_dir() for one in folders)):
            return None
        self._process = await start_here(ProcessOrder(module, Path(log), environment))
        return self._process.pid, platform.node()

    async def send(self, line: bytes) -> None:
        assert self._process is not None
        await self._process.send(line)

    async def heard(self) -> bytes:
        assert self._process is not None
        return await self._process.heard()

    async def code(self) -> int | None:
        assert self._process is not None
        return await self._process.code()

    async def aclose(self) -> None:
        if self._process is not None:
            await self._process.aclose()


class HostLost(Exception):
    """The machine, or what started the process there, is gone."""


class HostLink(Protocol):
    """The way to a `ProcessHost`. Raises HostLost once that is gone."""

    async def start(
        self, module: str, log: str, environment: Mapping[str, str | None], folders: list[str]
    ) -> tuple[int, str] | None: ...

    async def send(self, line: bytes) -> None: ...

    async def heard(self) -> bytes: ...

    async def code(self) -> int | None: ...

    async def aclose(self) -> None: ...


OpenHost = Callable[[], Awaitable[HostLink]]
"""Has a machine for one process. Raises ConfigurationError where there is none."""


async def start_there(open_host: OpenHost, order: ProcessOrder) -> LineProcess:
    """On a worker's machine; here, where that lacks the folders. Raises OSError, and what `open_host` raises."""
    link = await open_host()
    try:
        found = await link.start(
            order.module, str(order.log), order.environment, [str(one.resolve()) for one in order.folders]
        )
    except HostLost:
        found = None
    except BaseException:
        await link.aclose()
        raise
    if found is None:
        await link.aclose()
        return await start_here(order)
    return _There(link, *found)


class _There:
    def __init__(self, link: HostLink, pid: int, where: str) -> None:
        self._link = link
        self.pid = pid
        self.where = where

    async def send(self, line: bytes) -> None:
        with contextlib.suppress(HostLost):
            await self._link.send(line)

    async def heard(self) -> bytes:
        try:
            return await self._link.heard()
        except HostLost:
            return b""

    async def code(self) -> int | None:
        try:
            return await self._link.code()
        except HostLost:
            return None

    async def aclose(self) -> None:
        with contextlib.suppress(HostLost):
            await self._link.aclose()
