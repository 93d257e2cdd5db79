"""A server of the Model Context Protocol with one tool, for mcp.dspec: `pip install 'dspc[mcp]'`."""

from __future__ import annotations

import json
from pathlib import Path

from mcp.server.mcpserver import MCPServer

PASSAGES = Path(__file__).parent / "data" / "passages.jsonl"
server = MCPServer("passages")


@server.tool()
def look_up(title: str) -> str:
    """The passage with exactly this title."""
    for line in PASSAGES.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["title"] == title:
            return row["text"]
    raise ValueError(f"no passage has the title {title}")


if __name__ == "__main__":
    server.run("stdio")
