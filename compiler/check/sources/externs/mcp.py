"""mcp: a tool of an MCP server."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from ....diagnostics import codes
from ...session import Place, Session
from .base import ExternCall, ExternSource


def _check(session: Session, place: Place, written: ExternCall) -> bool:
    """A tool's server is either started by a command or reached by an address."""
    if not written.given & {"command", "url"}:
        session.report(codes.types.NoServer(place.at(written.call.callee)))
    if written.given >= {"command", "url"}:
        session.report(codes.syntax.TwoServers(place.at(written.call)))
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
