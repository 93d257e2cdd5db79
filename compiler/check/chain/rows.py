"""`tickets` and `tickets.val`: which rows are meant."""

from __future__ import annotations

from msgspec import Struct

from dspec.grammar.tree import Attribute, Expr, Name, Reference

from ... import ir
from ...diagnostics import codes
from ...project.source import Location
from ..declarations.datasets import DatasetInfo, dataset
from ..names.names import find, resolve
from ..session import Place, Session


class RowsInfo(Struct, frozen=True):
    """A dataset or one part of it. `count` is None where the file was not read."""

    data: DatasetInfo
    part: str | None
    location: Location

    @property
    def reference(self) -> ir.RowsRef:
        return ir.RowsRef(dataset=self.data.symbol.key, part=self.part)

    @property
    def count(self) -> int | None:
        if self.part is None:
            return self.data.rows
        return (self.data.sizes or {}).get(self.part)

    def overlaps(self, other: RowsInfo) -> bool:
        """True when the two are the same rows, or one holds the other."""
        same = self.data.symbol is other.data.symbol
        return same and (self.part is None or other.part is None or self.part == other.part)


def rows(session: Session, place: Place, node: Expr, what: str) -> RowsInfo | None:
    """The rows that `node` names; reports a name that is no dataset and a part that it does not have."""
    whole, part = _taken_apart(session, place, node)
    symbol = resolve(session, place, whole, ("dataset",), what)
    found = dataset(session, symbol) if symbol else None
    if found is None or symbol is None:
        return None
    if part is None:
        return RowsInfo(found, None, place.at(node))
    session.seek(part, (), found.parts)
    known = found.parts.get(part.text)
    if known is None:
        if symbol.block.problems:
            return None  # the split may be what could not be read
        session.report(codes.data.UnknownPart(place.at(part), symbol.location, tuple(found.parts)))
        return None
    session.use(place, part, known)
    return RowsInfo(found, part.text, place.at(node))


def _taken_apart(session: Session, place: Place, node: Expr) -> tuple[Expr, Name | None]:
    """The dataset's expression and the part's name: `lib.rows` may be an import, `rows.train` a part."""
    if not (isinstance(node, Attribute) and node.name is not None):
        return node, None
    if isinstance(node.target, Attribute):
        return node.target, node.name
    if isinstance(node.target, Reference):
        symbol = find(session, place, node.target)
        if symbol is not None and symbol.kind == "import":
            return node, None
        return node.target, node.name
    return node, None
