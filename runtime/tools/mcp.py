"""mcp: a tool of an MCP server, which a command starts or an address reaches, by the protocol's own SDK.

A connection is opened by the first call, shared by the tools of a server, and opened again by the next try when the
server is gone. A server that was started is ended with everything it started when the connection closes; one that
hangs in a call is asked for a sign of life, and ended when it gives none.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from pydantic import ValidationError

from ..errors import ConfigurationError
from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row, Scalar
from .base import (
    Ground,
    OpenTool,
    TookTooLong,
    ToolOption,
    ToolProblem,
    ToolSource,
    first_line,
    from_environment,
    text_option,
)
from .guard import guarded
from .web import ADDRESS, KEY, address, key_headers, origin, whereabouts

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client.session import MessageHandlerFnT
    from mcp.types import CallToolResult

STARTING_SECONDS = 60.0
"""So long may a server take to start. A try waits for it no longer than its own time, and the next one may find it ready."""
_ALIVE_SECONDS = 2.0
_LEAVING_SECONDS = 2.0
"""So long may a server take to end once nobody asks it any more."""
_CLOSING_SECONDS = 10.0
_KEPT = 4096
"""Bytes of a server's standard error."""
_SHOWN = 12
"""Names of tools that a message lists."""


class McpTool:
    """One server, started or reached as the first tool that is called says."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opening: asyncio.Task[_Connection] | None = None
        self._left: set[asyncio.Task[None]] = set()

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        from mcp import MCPError

        connection = await self._connected(tool)
        try:
            async with asyncio.timeout(tool.timeout):
                result = await connection.client.call_tool(text_option(tool, "tool"), arguments)
        except TimeoutError:
            if not await connection.alive():
                self._leave(connection)
            raise TookTooLong(tool.timeout) from None
        except MCPError as error:
            if not await connection.alive():
                self._leave(connection)
                raise connection.problem("the MCP server is gone", note=first_line(error)) from None
            raise ToolProblem(f"the MCP server refused: {first_line(error)}") from None
        except Exception as error:  # noqa: BLE001 - whatever the SDK meets in an answer is the server's failure
            self._leave(connection)
            raise connection.problem(
                f"the MCP server's answer cannot be used: {type(error).__name__}"
            ) from None
        if strays := connection.strays():
            use.note(f"the MCP server {strays}")
        if result.is_error and (names := await connection.others(text_option(tool, "tool"))):
            raise ToolProblem(
                f"the MCP server has no tool `{text_option(tool, 'tool')}`; it has {', '.join(f'`{one}`' for one in names)}"
            )
        return _value(tool, result)

    async def aclose(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await opening.result().aclose()
            else:
                opening.cancel()
                await asyncio.wait((opening,), timeout=_CLOSING_SECONDS)
        if self._left:
            await asyncio.wait(self._left, timeout=_CLOSING_SECONDS)

    async def _connected(self, tool: Tool) -> _Connection:
        opening = self._opening
        if (
            opening is not None
            and opening.done()
            and (opening.cancelled() or opening.exception() is not None)
        ):
            opening = None
        if opening is None:
            loop = asyncio.get_running_loop()
            opening = self._opening = loop.create_task(_Connection.opened(tool, self._root))
        try:
            async with asyncio.timeout(tool.timeout):
                return await asyncio.shield(opening)
        except TimeoutError:
            raise ToolProblem(
                f"the MCP server did not answer within {tool.timeout:g} s",
                note="it goes on starting, and a further try may find it ready; `timeout` may be longer",
            ) from None

    def _leave(self, connection: _Connection) -> None:
        """Gives the connection up: nothing more is asked of it, and it closes while other calls go on."""
        opening = self._opening
        if (
            opening is not None
            and opening.done()
            and not opening.cancelled()
            and opening.result() is connection
        ):
            self._opening = None
        closing = asyncio.get_running_loop().create_task(connection.aclose())
        self._left.add(closing)
        closing.add_done_callback(self._left.discard)


class _Connection:
    """A client in a task of its own, which must open and close it."""

    def __init__(self, tool: Tool, root: Path) -> None:
        loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._strays: list[str] = []
        """What came that is no message: the first of it, and an empty text for each further one."""
        self._ready: asyncio.Future[Client] = loop.create_future()
        self._keeper = loop.create_task(self._keep(tool, root))
        self.client: Client

    @classmethod
    async def opened(cls, tool: Tool, root: Path) -> _Connection:
        """Raises ToolProblem."""
        connection = cls(tool, root)
        try:
            async with asyncio.timeout(STARTING_SECONDS):
                connection.client = await asyncio.shield(connection._ready)
        except TimeoutError:
            await connection._left()
            raise connection.problem(f"the MCP server did not answer within {STARTING_SECONDS:g} s") from None
        except BaseException:
            await connection._left()
            raise
        return connection

    async def _left(self) -> None:
        """Gives up a connection that is not open yet: what was started for it is ended."""
        self._keeper.cancel()
        await asyncio.wait((self._keeper,), timeout=_CLOSING_SECONDS)

    async def alive(self) -> bool:
        from mcp import types

        if self._keeper.done():
            return False
        with suppress(Exception):
            async with asyncio.timeout(_ALIVE_SECONDS):
                # A ping is no part of every version of the protocol; the list of tools is.
                await self.client.session.list_tools(params=types.PaginatedRequestParams())
                return True
        return False

    async def others(self, name: str) -> list[str]:
        """The names of the server's tools, where it says them all and this is none of them."""
        from mcp import types

        with suppress(Exception):
            async with asyncio.timeout(_ALIVE_SECONDS):
                found = await self.client.session.list_tools(params=types.PaginatedRequestParams())
                names = [one.name[:200] for one in found.tools[:_SHOWN]]
                return [] if name in [one.name for one in found.tools] or found.next_cursor else names
        return []

    async def hear(self, message: object) -> None:
        """What the SDK passes on besides answers; what it could not read is among it."""
        if isinstance(message, ValidationError):
            self._strays.append("" if self._strays else str(message.errors()[0]["input"])[:200])

    def strays(self) -> str:
        """Says of the server what came since the last time that is no message; "" where nothing did."""
        strays, self._strays = self._strays, []
        if not strays:
            return ""
        lines = (
            "a line that is no message" if len(strays) == 1 else f"{len(strays):,} lines that are no messages"
        )
        first = "" if len(strays) == 1 else "the first "
        return f"wrote {lines} of the protocol on its standard output, {first}{strays[0]!a}"

    def problem(self, message: str, *, note: str = "") -> ToolProblem:
        strays = self.strays()
        return ToolProblem(f"{message}; it {strays}" if strays else message, note=note)

    async def aclose(self) -> None:
        self._closing.set()
        await asyncio.wait((self._keeper,), timeout=_CLOSING_SECONDS)
        self._keeper.cancel()

    async def _keep(self, tool: Tool, root: Path) -> None:
        errors = _Errors()
        try:
            async with AsyncExitStack() as stack:
                opened = await _client(tool, root, stack.enter_context(errors), stack, self.hear)
                client = await stack.enter_async_context(opened)
                self._ready.set_result(client)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001 - whatever the SDK meets in opening or closing
            if not self._ready.done():
                last = await errors.last_line()
                self._ready.set_exception(
                    error if isinstance(error, ToolProblem) else self._not_opened(tool, error, last)
                )

    def _not_opened(self, tool: Tool, error: BaseException, last: str) -> ToolProblem:
        from mcp import MCPError

        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        said, note = type(error).__name__, first_line(error)
        if isinstance(error, MCPError):
            said, note = note, ""
        ended = f"; the last that it wrote on standard error is {last!a}" if last else ""
        if text_option(tool, "command"):
            server, advice = "the MCP server", "try its `command` in a terminal"
        else:
            where, advice = whereabouts(tool)
            server = f"the MCP server at {where}"
        return self.problem(
            f"{server} cannot be reached: {said}{ended}", note=f"{note}; {advice}" if note else advice
        )


class _Errors:
    """A started server's standard error, whose end is kept: a server that ends before it answers says there why."""

    def __init__(self) -> None:
        self._kept = b""
        self._reader: threading.Thread | None = None

    def __enter__(self) -> TextIO:
        read, written = os.pipe()
        self._reader = threading.Thread(target=self._listen, args=(read,), daemon=True)
        self._reader.start()
        self._file = os.fdopen(written, "w", encoding="utf-8")
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _listen(self, read: int) -> None:
        with os.fdopen(read, "rb", buffering=0) as file:
            while data := file.read(1 << 16):
                self._kept = (self._kept + data)[-_KEPT:]

    async def last_line(self) -> str:
        """The last line that is not blank, once the server has ended."""
        if self._reader is not None:
            await asyncio.to_thread(self._reader.join, _LEAVING_SECONDS)
        lines = self._kept.decode(errors="replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


async def _client(
    tool: Tool, root: Path, errors: TextIO, stack: AsyncExitStack, hear: MessageHandlerFnT
) -> Client:
    import logging

    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    log = logging.getLogger("mcp")
    if not log.handlers:
        # What the SDK cannot read is told of in a tool's answer; where an application keeps logs, it is there, too.
        log.addHandler(logging.NullHandler())
    if command := text_option(tool, "command"):
        program, *arguments = guarded(_words(command, root), grace=_LEAVING_SECONDS)
        server = StdioServerParameters(command=program, args=arguments, env=_key(tool), cwd=root)
        return Client(stdio_client(server, errlog=errors), message_handler=hear)
    import httpx2

    web = httpx2.AsyncClient(headers=key_headers(tool), timeout=httpx2.Timeout(None))
    await stack.enter_async_context(web)
    return Client(streamable_http_client(address(tool), http_client=web), message_handler=hear)


def _words(command: str, root: Path) -> list[str]:
    """The words of a command whose first is a program. Raises ToolProblem."""
    import shutil

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ToolProblem(f"its command cannot be read: {first_line(error)}") from None
    name = words[0] if words else ""
    # A name with a folder in it is one below the root, where the server is started.
    if not name or shutil.which(str(root / name) if os.path.dirname(name) else name) is None:  # noqa: PTH120
        raise ToolProblem(
            f"the MCP server cannot be reached: there is no command `{name[:200]}`",
            note="check the first word of its `command`, and that it is installed",
        )
    return words


def _key(tool: Tool) -> dict[str, str] | None:
    """A server that is started gets the key as the variable of the same name, and little else of the environment."""
    variable = text_option(tool, "api_key_env")
    return {variable: from_environment(tool, "api_key")} if variable else None


def _value(tool: Tool, result: CallToolResult) -> JsonValue:
    """What the server's tool gave: its structured value where it has one, else its text. Raises ToolProblem."""
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        raise ToolProblem(text.strip()[:1000] or "the MCP server's tool failed")
    value = cast("JsonValue", result.structured_content)
    if isinstance(value, dict) and list(value) == ["result"] and tool.output is not None:
        return value["result"]  # servers wrap a value that is no object like this
    if value is not None:
        return value
    if tool.output == Scalar(name="str"):
        return text
    from .web import as_json

    return as_json(text)


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    if importlib.util.find_spec("mcp") is None:
        raise ConfigurationError(
            f"the tool `{tool.name}` needs the package mcp", help="pip install 'dspc[mcp]'"
        )
    return McpTool(ground.root)


def _faults(tool: Tool) -> Iterator[str]:
    if len({"command", "url", "url_env"} & tool.options.keys()) != 1:
        yield "a server has a command or an address"


def _reaches(tool: Tool, ground: Ground) -> str:
    return text_option(tool, "command") or origin(tool)


SOURCE = ToolSource(
    name="mcp",
    options=(
        ToolOption("tool", required=True),
        ToolOption("command", pattern=r"[^\x00-\x1f]{1,2000}"),
        *ADDRESS,
        *KEY,
    ),
    in_folder=True,
    elsewhere=True,
    open=_open,
    reaches=_reaches,
    per_call=("tool",),
    faults=_faults,
    called=lambda tool: (
        f"on the MCP server that `{text_option(tool, 'command')}` starts"
        if text_option(tool, "command")
        else f"on the MCP server {origin(tool)}"
    ),
)
