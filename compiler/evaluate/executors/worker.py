"""A worker: runs programs and makes attempts at calls for a driver, which decides everything.

A worker has no ledger, no limits, no budget. What a program asks of a model goes to the driver, whose engine sees whether that is
known, waits for its turn and for room in the budget; where a request is to leave, any worker is told to send it, once. So
the worker does what costs CPU: prompts, reading answers, HTTP, providers' libraries, functions of the project.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import itertools
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, to_builtins

from dspec.runtime.models.calls import Completion, Purse
from dspec.runtime.models.protocol import Answering, Request, ToolAnswer, ToolUse, Transport
from dspec.runtime.models.transports import open_transport
from dspec.runtime.schema.program import LM, Program, Record, Tool
from dspec.runtime.schema.types import Row
from dspec.runtime.tools.base import Ground, OpenTool, ToolProblem, plain, text_option
from dspec.runtime.tools.table import SOURCES

from ..meter import PaidMeter, metered
from ..store import runtime_fingerprint
from . import wire
from .code import code_digest
from .peer import Peer

GATHERING = 0.004
"""Seconds for which either end gathers messages before they leave together: each delivery costs as much as ten of them, and a
model takes a hundred times as long."""


async def _no_vectors(_: Sequence[str]) -> list[list[float]]:
    raise ToolProblem("it has no model")


_USE = ToolUse(None, _no_vectors, MappingProxyType({}))
"""What a function uses of a run that asks nothing back."""


class _Answering(Struct, frozen=True):
    """What a tool's function may ask back, in the context of the run that called it."""

    answer: Answering
    context: contextvars.Context


class Worker:
    """One end of a link (`WorkerLink`): `take` is given the driver's messages, `give` gives those for it."""

    def __init__(self) -> None:
        self._outbox: list[bytes] = []
        self._filled = asyncio.Event()
        self._programs: dict[str, Program] = {}
        self._transports: dict[int, Transport] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._answering: dict[int, _Answering] = {}
        self._numbers = itertools.count()
        self._functions: dict[tuple[str, ...], OpenTool] = {}
        self._peer = Peer(
            self._send,
            asked={
                "hello": self._hello,
                "open": self._open,
                "run": self._run,
                "attempt": self._attempt,
                "tool": self._tool,
                "answer": self._answer,
            },
            told={"program": self._program, "forget": self._forget, "close": self._close},
        )

    async def take(self, lines: bytes) -> None:
        self._peer.heard(lines)

    async def give(self) -> bytes:
        """What the driver is to hear next, once there is something."""
        await self._filled.wait()
        await asyncio.sleep(GATHERING)
        self._filled.clear()
        lines = b"\n".join(self._outbox)
        self._outbox.clear()
        return lines

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports = {}
        for opened in self._functions.values():
            await opened.aclose()
        self._functions = {}

    def _send(self, line: bytes) -> None:
        self._outbox.append(line)
        self._filled.set()

    async def _hello(self) -> list[Any]:
        return [wire.WIRE, runtime_fingerprint(), f"process {os.getpid()} on {platform.node()}"]

    async def _open(self, number: int, endpoint: Any, kind: Any) -> None:
        """Opens the way to an endpoint before anything is asked there: importing LiteLLM takes seconds of no call's time."""
        place = wire.endpoint_in(endpoint)
        if kind == "litellm":
            self._transports[number] = await asyncio.to_thread(open_transport, place, kind)
        else:
            self._transports[number] = open_transport(place, kind)

    def _close(self, number: int) -> None:
        if (transport := self._transports.pop(number, None)) is not None:
            closing = asyncio.get_running_loop().create_task(transport.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _program(self, key: str, text: str) -> None:
        if hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() != key:
            raise ValueError("a program that is not the one it is called by")
        self._programs[key] = Program.model_validate(json.loads(text))

    def _forget(self, key: str) -> None:
        self._programs.pop(key, None)

    async def _run(
        self,
        number: int,
        key: str,
        hidden: str | None,
        inputs: Row,
        sample: int,
        temperature: float | None,
    ) -> Any:
        program = self._programs[key]
        if hidden is not None and program.neighbours is not None:
            program = program.model_copy(update={"neighbours": program.neighbours.hiding(hidden)})
        meter = PaidMeter(_Asking(self._peer, number, self._answering, self._numbers), None, urgent=False)
        return to_builtins(await metered(program, inputs, meter, sample=sample, temperature=temperature))

    async def _attempt(self, number: int, request: list[Any]) -> Any:
        return wire.answer_out(await self._transports[number].complete(wire.request_in(request)))

    async def _tool(self, root: str, digest: str, declared: bool, told: str, arguments: Row) -> Any:
        """One try of a function of the project, in a process of its own, where this machine has it as the driver has it; None
        where it does not."""
        tool = wire.tool_of(told)
        opened = await self._function(Path(root), digest, tool, declared=declared)
        if opened is None:
            return None
        try:
            return {"value": plain(await opened.call(tool, arguments, _USE), tool)}
        except ToolProblem as problem:
            return {"problem": wire.problem_out(problem)}

    async def _function(self, root: Path, digest: str, tool: Tool, *, declared: bool) -> OpenTool | None:
        key = (str(root), digest, text_option(tool, "function"), text_option(tool, "file"))
        if key not in self._functions:
            try:
                if await asyncio.to_thread(code_digest, root, tool) != digest:
                    return None
                opened = await SOURCES[tool.source].open(tool, Ground(root, True, declared), _USE)
            except (OSError, ToolProblem):
                return None
            self._functions.setdefault(key, opened)
        return self._functions[key]

    async def _answer(self, number: int, key: str, inputs: Row) -> Any:
        asking = self._answering[number]

        async def answered() -> Any:
            return await asking.answer(key, inputs)

        return await asyncio.get_running_loop().create_task(answered(), context=asking.context)


class _Asking:
    """The driver's engine, as a run sees it."""

    def __init__(
        self, peer: Peer, run: int, answering: dict[int, _Answering], numbers: itertools.count[int]
    ) -> None:
        self._peer = peer
        self._run = run
        self._answering = answering
        self._numbers = numbers

    async def complete(
        self, request: Request, *, purse: Purse | None = None, urgent: bool = False
    ) -> Completion:
        return wire.completion_in(await self._peer.ask("complete", self._run, wire.request_out(request)))

    def unusable(self, request: Request) -> None:
        self._peer.tell("unusable", self._run, wire.request_out(request))

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
        purse: Purse | None = None,
    ) -> ToolAnswer:
        number = None
        if answer is not None:
            number = next(self._numbers)
            self._answering[number] = _Answering(answer, contextvars.copy_context())
        try:
            given = await self._peer.ask(
                "call",
                self._run,
                number,
                wire.model_text(tool),
                arguments,
                wire.table_text(lms),
                wire.table_text(records),
            )
        finally:
            if number is not None:
                del self._answering[number]
        return wire.tool_answer_in(given)
