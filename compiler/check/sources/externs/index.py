"""Checks an extern that searches: what it takes and gives, its data file, and the column that is searched."""

from __future__ import annotations

import os
from pathlib import Path

from dspec.grammar.tree import Node
from dspec.runtime.schema.types import INT, STR, ListOf, OptionalOf, RecordRef, Scalar
from dspec.runtime.tools.indexed import COLUMN

from .... import ir
from ....data import IndexQuestion, Places, diagnose
from ....data.sources.table import endings, is_ending
from ....diagnostics import codes
from ...session import Place, Session
from ...types.declared import reachable
from ...types.kinds import Group, spell
from ..data_files import data_file
from .base import ExternCall, SourceFound


def check_search(session: Session, place: Place, written: ExternCall) -> bool:
    """A search takes one text, and `k` if it is declared; it gives texts or rows. Reports others; True when all fits."""
    inputs = dict(written.inputs)
    wanted = inputs.pop("k", None)
    texts = [member for member in inputs.values() if member.type == STR]
    if len(inputs) != 1 or len(texts) != 1 or (wanted is not None and wanted.type != INT):
        session.report(
            codes.externs.TakesNoText(written.symbol.location, written.symbol.name, tuple(written.inputs))
        )
        return False
    result = written.result
    rows = isinstance(result, ListOf) and (
        result.item in (STR, Scalar(name="any")) or isinstance(result.item, RecordRef)
    )
    if not rows and result != Scalar(name="any"):
        node = place.declaration.returns
        at = written.symbol.location if node is None or isinstance(node, tuple) else place.at(node)
        given = "several values" if isinstance(result, Group) else spell(result)
        session.report(codes.externs.GivesNoRows(at, written.symbol.name, given))
        return False
    return True


def check_index(session: Session, place: Place, written: ExternCall) -> SourceFound:
    """The data file behind an index: inside the project, readable, with the column that is searched."""
    fits = check_search(session, place, written)
    (path, node), column = written.texts["file"], written.texts.get("text")
    relative = data_file(session, place, path, node)
    if relative is None or not session.probe:
        return SourceFound(None)
    ending = path.rpartition(".")[2]
    if not is_ending(ending):
        session.report(codes.attributes.NotADataFile(place.at(node), path, tuple(endings())))
        return SourceFound(None)
    source = ir.DataSource(kind=ending, path=relative)
    found = session.see(IndexQuestion(source=source))
    if found is not None and found.findings is not None:
        places = Places(source=place.at(node))
        session.findings.extend(diagnose(problem, places) for problem in found.findings.problems)
    if found is None or not found.digest:
        return SourceFound(None)
    name = COLUMN if column is None else column[0]
    if name not in found.columns:
        at = place.at(written.call if column is None else column[1])
        session.report(codes.data.NoSuchColumn(at, name, path, place.at(node), tuple(found.columns)))
        return SourceFound(None)
    absent = [field for field in _wanted(session, written) if field not in found.columns]
    for field in absent:
        returned = place.declaration.returns
        at = place.at(returned) if isinstance(returned, Node) else written.symbol.location
        session.report(codes.data.NoSuchColumn(at, field, path, place.at(node), tuple(found.columns)))
    if absent or not fits:
        return SourceFound(None)
    real = os.path.relpath(session.folder / relative, session.root)
    return SourceFound(
        {**written.options, "file": Path(real).as_posix(), "text": name, "sha256": found.digest}
    )


def _wanted(session: Session, written: ExternCall) -> list[str]:
    """The columns that the rows must have: the fields of the record that is declared."""
    result = written.result
    if not isinstance(result, ListOf) or not isinstance(result.item, RecordRef):
        return []
    record = reachable(session, [result]).get(result.item.name)
    fields = () if record is None else record.fields
    return [one.name for one in fields if not one.has_default and not isinstance(one.type, OptionalOf)]
