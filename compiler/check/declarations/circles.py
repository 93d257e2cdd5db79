"""Reports modules and programs that call each other in a circle, where a check comes back to one that is at work."""

from __future__ import annotations

from ...diagnostics import codes
from ...project.source import Location
from ..session import Session
from ..symbols import Symbol


def report_circle(session: Session, at: Location, symbol: Symbol) -> None:
    """Reports once the circle of modules and programs that leads back to `symbol`, whose check is at work. Circles with
    other kinds of declarations are reported elsewhere."""
    running = session.running
    if symbol not in running:
        return
    way = running[running.index(symbol) :]
    keys = {each.key for each in way}
    if any(each.kind not in ("module", "program") for each in way) or session.in_circle(keys):
        return
    session.circle(keys)
    if len(way) == 1:
        session.report(codes.circles.CallsItself(at, symbol.location, symbol.kind))
        return
    names = (*(each.key for each in way), symbol.key)
    kinds = {each.kind for each in way}
    of = "module" if kinds == {"module"} else "program" if kinds == {"program"} else "both"
    session.report(codes.circles.CallsInCircle(at, names, of))
