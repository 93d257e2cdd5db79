"""An index over a data file: is the file there, with the column that is searched?"""

from __future__ import annotations

from .... import ir
from ....data import DataError, Places, diagnose, probe
from ....data.sources.table import endings, is_ending
from ....diagnostics import codes
from ...session import Place, Session
from ..data_files import data_file
from .base import ExternCall


def check_index(session: Session, place: Place, written: ExternCall) -> bool:
    """The data file behind an index: inside the project, readable, with the column that is searched."""
    (path, node), column = written.texts["file"], written.texts.get("text")
    relative = data_file(session, place, path, node)
    if relative is None or not session.probe:
        return False
    ending = path.rpartition(".")[2]
    if not is_ending(ending):
        session.report(codes.syntax.NotADataFile(place.at(node), path, tuple(endings())))
        return False
    source = ir.DataSource(kind=ending, path=relative)
    try:
        found = probe(source, session.folder, root=session.root, cache=session.cache)
    except DataError as error:
        places = Places(source=place.at(node))
        session.findings += [diagnose(problem, places) for problem in error.problems]
        return False
    if column is not None and column[0] not in found.columns:
        at = place.at(column[1])
        session.report(codes.data.NoSuchColumn(at, column[0], path, place.at(node), tuple(found.columns)))
    return False
