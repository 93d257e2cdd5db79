"""Keeps worker processes in which the project's own functions run as tools (`worker`).

The other process is the border: a call takes a bounded time and its result a bounded size, and nothing that the
function does (printing, leaving, crashing, forking) reaches ours, except as text. A process that is late is killed with
everything that it started, and the next call gets another. It is no sandbox: whoever runs the program runs the
project's code.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ..models.compact import compact
from ..models.protocol import Answering, ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import TookTooLong, ToolProblem, output_names, told, too_large
from .guard import end_guarded, guarded
from .owntime import OwnTime
from .worker import MOST_QUESTION

_SCRIPT = Path(__file__).with_name("worker.py")
_TAIL = 16 << 10
_ENDING_SECONDS = 3.0
IMPORT_SECONDS = 60.0
"""How long a function's module may take to be imported; longer where the tool's `timeout` is."""


class FunctionProcesses:
    """The worker processes of one function; as many as calls of it run at the same time."""

    def __init__(self, place: dict[str, JsonValue], folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        worker = await self._worker(tool)
        try:
            value = await worker.call(tool, arguments, use)
        except ToolProblem:
            await self._settle(worker)
            raise
        except BaseException:
            await self._end(worker)  # the caller has left in the middle of the call
            raise
        await self._settle(worker)
        return value

    async def aclose(self) -> None:
        self._closed = True
        await asyncio.gather(*(self._end(worker) for worker in list(self._all)))

    async def _worker(self, tool: Tool) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.usable:
                return worker
            await self._end(worker)
        worker = _Worker()
        self._all.add(worker)
        try:
            await worker.start(self._folder)
            await worker.order({"function": self._place}, max(tool.timeout, IMPORT_SECONDS), tool, None)
        except BaseException:
            await self._end(worker)
            raise
        return worker

    async def _settle(self, worker: _Worker) -> None:
        if worker.usable and not self._closed:
            self._idle.append(worker)
        else:
            await self._end(worker)

    async def _end(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.end()


class _Worker(asyncio.SubprocessProtocol):
    """One process. `usable` says that it waits for the next order."""

    def __init__(self) -> None:
        self.usable = False
        self._transport: asyncio.SubprocessTransport | None = None
        self._left: asyncio.SubprocessTransport | None = None
        self._heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._buffer = bytearray()
        self._said = bytearray()
        self._most = 0
        self._overflown = False
        self._ended = asyncio.Event()
        self._questions: set[asyncio.Task[None]] = set()
        self._run = 0

    async def start(self, folder: Path) -> None:
        """Raises ToolProblem where no process can be started."""
        command = guarded([sys.executable, "-I", "-B", "-X", "utf8", str(_SCRIPT)])
        try:
            transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self, *command, cwd=folder, start_new_session=os.name == "posix"
            )
        except OSError as error:
            raise ToolProblem(f"no process could be started for it: {error.strerror}") from None
        self._transport = transport

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        self._run += 1
        order: dict[str, Any] = {
            "call": tool.name,
            "run": self._run,
            "arguments": arguments,
            "most": tool.max_result,
            "outputs": output_names(tool),
            "answers": use.answer is not None,
        }
        return (await self.order(order, tool.timeout, tool, use)).get("value")

    async def order(
        self, order: dict[str, Any], seconds: float, tool: Tool, use: ToolUse | None
    ) -> dict[str, Any]:
        """Tells the process what to do and hears what came of it. Raises ToolProblem."""
        self.usable = False
        answer = None if use is None else use.answer
        self._most = 6 * tool.max_result + (6 * MOST_QUESTION if answer is not None else 1 << 16)
        try:
            async with OwnTime(seconds) as time:
                if answer is not None:
                    answer = time.apart_from(answer)
                self._tell(order)
                while True:
                    heard = await self._heard.get()
                    if heard is None:
                        raise self._cut_short(tool)
                    if "ask" not in heard:
                        break
                    # What an earlier call left behind may ask, too.
                    self._begin_answer(heard, answer if heard.get("run") == self._run else None)
        except TimeoutError:
            await self.end()
            raise TookTooLong(seconds, note="its process was killed") from None
        finally:
            for question in self._questions:
                question.cancel()
        self.usable = True
        if "error" in heard:
            note = f"raised at {heard['at']}" if "at" in heard else ""
            raise ToolProblem(str(heard["error"])[:1000], note=note)
        return heard

    def _begin_answer(self, heard: dict[str, Any], answer: Answering | None) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(heard, answer))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, heard: dict[str, Any], answer: Answering | None) -> None:
        """Answers one question of the function's. What goes wrong is told it, and it may go on."""
        reply: dict[str, Any] = {"reply": heard.get("number")}
        try:
            if answer is None or not isinstance(heard.get("inputs"), dict):
                raise RuntimeError("nothing can be called from here")
            reply["value"] = await answer(str(heard["ask"]), heard["inputs"])
        except RuntimeError as error:
            reply["error"] = str(error)
        except Exception as error:  # noqa: BLE001 - any failure is the function's to see
            reply["error"] = told(error)
        self._tell(reply)

    def _tell(self, message: dict[str, Any]) -> None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is not None and not pipe.is_closing():
            cast("asyncio.WriteTransport", pipe).write(compact(message) + b"\n")

    def _cut_short(self, tool: Tool) -> ToolProblem:
        if self._overflown:
            return too_large(self._most // 6, tool.max_result)
        code = self._transport.get_returncode() if self._transport is not None else None
        how = "" if code is None else f" (exit code {code})" if code >= 0 else f" (signal {-code})"
        lines = bytes(self._said).decode(errors="replace").split("\n")
        last = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
        note = f"the last that it said is: {last}" if last else ""
        return ToolProblem(f"its process ended{how} before there was a result", note=note)

    async def end(self) -> None:
        """Kills the process with everything that it started. A caller that leaves meanwhile leaves its ending under way."""
        self.usable = False
        transport, self._transport = self._transport, None
        if transport is None:
            return
        self._left = transport
        with suppress(OSError):
            end_guarded(transport.get_pid(), running=transport.get_returncode() is None)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_SECONDS):
                await self._ended.wait()
        transport.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._said += data
            del self._said[:-_TAIL]
            return
        self._buffer += data
        if len(self._buffer) > self._most:
            self._overflown = True
            self._buffer.clear()
            self._heard.put_nowait(None)
            return
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            heard: object = None
            with suppress(ValueError, RecursionError):
                heard = json.loads(line)
            self._heard.put_nowait(cast("dict[str, Any]", heard) if isinstance(heard, dict) else None)

    def process_exited(self) -> None:
        self.usable = False
        if self._left is not None:
            self._left.close()  # until now a close would have killed the guard before it has ended the others
        self._ended.set()
        self._heard.put_nowait(None)
