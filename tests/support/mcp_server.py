"""A small MCP server for tests, by the protocol's SDK: on standard input, or on the port that is named."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("tests")
calls = 0


@server.tool()
def echo(query: str) -> str:
    """The text again."""
    return query


@server.tool()
def titles(query: str) -> list[str]:
    """Titles."""
    return [f"{query} 1", f"{query} 2"]


@server.tool()
def count(query: str) -> dict[str, int]:
    """How many."""
    return {"letters": len(query)}


@server.tool()
def environment(query: str) -> str:
    """A variable."""
    return os.environ.get(query, "(not set)")


@server.tool()
def fails(query: str) -> str:
    """Fails."""
    raise ValueError(f"no {query}")


@server.tool()
async def hangs(query: str) -> str:
    """Takes long."""
    await asyncio.sleep(600)
    return query


@server.tool()
def blocks(query: str) -> str:
    """Blocks the whole server."""
    import time

    time.sleep(600)
    return query


@server.tool()
def away(query: str) -> str:
    """Leaves a process in a session of its own."""
    return str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)


@server.tool()
def dies(query: str) -> str:
    """Ends the server, but for one whose file is there."""
    if os.path.exists(query):  # noqa: PTH110 - a server needs no more
        return "alive"
    with open(query, "w"):  # noqa: PTH123
        pass
    os._exit(1)


@server.tool()
def large(query: str) -> str:
    """1 MB."""
    return "x" * 1_000_000


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
