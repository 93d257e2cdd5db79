"""mcp: a tool of an MCP server."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from ...session import Place, Session
from .base import ExternCall, ExternSource


def _check(session: Session, place: Place, written: ExternCall) -> bool:
    """A tool's server is either started by a command or reached by an address."""
    wanted = [name for name in ("command", "url") if name in written.given]
    if len(wanted) != 1:
        session.report(
            "DS0302" if not wanted else "DS0106",
            "`mcp` needs the server's `command` or its `url`"
            if not wanted
            else "`mcp` takes the server's `command` or its `url`, not both",
            place.at(written.call.callee if not wanted else written.call),
            "which server?",
        )
    return False


SOURCE = ExternSource(
    name="mcp",
    doc="A tool of an MCP server.",
    parameters=(
        SourceParameter("command", "text"),
        SourceParameter("url", "text"),
        SourceParameter("tool", "text", required=True),
    ),
    check=_check,
)
