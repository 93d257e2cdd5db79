"""An index over a data file: is the file there, with the column that is searched?"""

from __future__ import annotations

from .... import ir
from ....data import DataError, Places, diagnose, probe
from ....data.sources.table import endings
from ....diagnostics.fixes import suggestions
from ....diagnostics.record import Label
from ....diagnostics.spelling import closest
from ....diagnostics.wording import did_you_mean, listed, quoted
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
    if ending not in endings():
        session.report(
            "DS0110",
            f'"{path}" does not end like a data file',
            place.at(node),
            "which format?",
            help=f"a data file ends with {quoted([f'.{each}' for each in endings()], 'or')}",
        )
        return False
    source = ir.DataSource(kind=ending, path=relative)
    try:
        found = probe(source, session.folder, root=session.root, cache=session.cache)
    except DataError as error:
        places = Places(source=place.at(node))
        session.diagnostics += [diagnose(problem, places) for problem in error.problems]
        return False
    if column is not None and column[0] not in found.columns:
        near = closest(column[0], found.columns)
        session.report(
            "DS0402",
            f"column `{column[0]}` is not in `{path}`{did_you_mean(near)}",
            place.at(column[1]),
            "no such column",
            secondary=(Label(place.at(node), "read from here"),),
            help="" if near else f"its columns are {listed(found.columns)}",
            fixes=suggestions(place.at(column[1]), tuple(f'"{each}"' for each in near)),
        )
    return False
