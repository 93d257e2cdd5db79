"""colbert: a search on a ColBERT server."""

from __future__ import annotations

from ...session import Place, Session
from .base import ADDRESS, FOUND, KEY, ExternCall, ExternSource, SourceFound
from .index import check_search
from .web import check_web


def _check(session: Session, place: Place, written: ExternCall) -> SourceFound:
    fits = check_search(session, place, written)
    return check_web(session, place, written) if fits else SourceFound(None)


SOURCE = ExternSource(
    name="colbert",
    doc="A search on a ColBERT server.",
    parameters=(ADDRESS, FOUND, *KEY),
    check=_check,
)
