"""mcp: a tool of an MCP server."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from ....diagnostics import codes
from ...session import Place, Session
from .base import KEY, ExternCall, ExternSource, SourceFound
from .web import check_web


def _check(session: Session, place: Place, written: ExternCall) -> SourceFound:
    """A tool's server is either started by a command or reached by an address."""
    if not written.given & {"command", "url"}:
        session.report(codes.calls.NoServer(place.at(written.call.callee)))
        return SourceFound(None)
    if written.given >= {"command", "url"}:
        session.report(codes.attributes.TwoServers(place.at(written.call)))
        return SourceFound(None)
    return check_web(session, place, written)


SOURCE = ExternSource(
    name="mcp",
    doc="A tool of an MCP server.",
    parameters=(
        SourceParameter("command", "text", doc="What starts the server, in the project's root."),
        SourceParameter("url", "address", doc="Where the server is."),
        SourceParameter("tool", "text", required=True, doc="The tool's name there."),
        *KEY,
    ),
    check=_check,
)
