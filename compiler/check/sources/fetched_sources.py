"""Checks sources whose rows are in no file of the project, and fetches the rows where the session says so."""

from __future__ import annotations

from dspec.grammar.tree import Call, Name

from ... import ir
from ...data import DataError, Findings
from ...data.sources.base import FetchedSource, Written
from ...data.sources.table import title
from ...diagnostics.wording import plural
from ..session import Place, Session
from .extern_sources import source_arguments


def fetched_source(
    session: Session, place: Place, node: Call, name: Name, found: FetchedSource
) -> ir.DataSource | None:
    """The source that a dataset names; reports what is wrong with it."""
    read = source_arguments(session, place, node, name, found.parameters)
    if read is None:
        return None
    texts = {parameter: (text, place.at(at)) for parameter, (text, at) in read.texts.items()}
    return found.check(session, Written(place.source.path.parent, texts))


def fetched(session: Session, source: ir.DataSource) -> Findings | None:
    """Fetch the rows where the session says so. Returns what went wrong; None if nothing did."""
    try:
        kept = session.fetcher.fetch(source, session.folder, session.root)
    except DataError as error:
        session.fetched.append(f"fetched no rows of {title(source)}")
        return Findings(problems=error.problems)
    if kept is not None:
        commit = f" at {kept.commit[:12]}" if kept.commit else ""
        session.fetched.append(f"fetched {plural(kept.rows, 'row')} of {title(source)}{commit}")
    return None
