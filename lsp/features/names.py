"""Where a name is declared and where it is used, in one file or in all files of a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from dspec.compiler.check import query
from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.check.types.kinds import Group, GroupList, Kind
from dspec.compiler.project.source import Location, Source
from dspec.grammar.tree import (
    FieldItem,
    Let,
    NamedType,
    Node,
    Parameter,
)
from dspec.grammar.walk import children
from dspec.runtime.schema.types import DictOf, ListOf, OneOfRecords, OptionalOf, RecordRef

from ..work import Work, whole
from .strings import data_file, function_place, imported, role_of
from .words import CursorWord, word_at

Spot = tuple[Path, int]
"""A file and an offset in it: what tells a declaration apart in every analysis that sees it."""


class Mention(Struct, frozen=True):
    """A place where a name stands. `declares` says that it is declared there."""

    location: Location
    declares: bool
    writes: bool = False
    """Whether the name gets its value there."""


def named_at(analysis: Analysis, offset: int) -> tuple[Location, Symbol] | None:
    """The name at an offset of the file, and what it stands for."""
    return next(analysis.symbols.named(analysis.source, offset), None)


def spot(location: Location) -> Spot:
    return location.source.path, location.start


def same(analysis: Analysis, symbol: Symbol) -> frozenset[Spot]:
    """The places where a name is declared: several for a state of a repetition, which each round gives anew."""
    found = {spot(symbol.location)}
    if symbol.kind == "let":
        found |= {
            spot(one.location)
            for one in analysis.symbols.declared
            if one.kind == "let" and one.name == symbol.name and one.block is symbol.block
        }
    return frozenset(found)


def mentions(analyses: Iterable[Analysis], declared: frozenset[Spot]) -> list[Mention]:
    """Every place where the name stands that is declared there, each once, in the order of files and places."""
    return whole(mentioned(analyses, declared))


def mentioned(analyses: Iterable[Analysis], declared: frozenset[Spot]) -> Work[list[Mention]]:
    """`mentions`, an analysis in each piece."""
    found: dict[Spot, Mention] = {}
    for analysis in analyses:
        for symbol in analysis.symbols.declared:
            if spot(symbol.location) in declared:
                found.setdefault(spot(symbol.location), Mention(symbol.location, True, writes=True))
        for use in analysis.symbols.uses:
            if spot(use.symbol.location) in declared:
                found.setdefault(spot(use.location), Mention(use.location, False))
        yield
    return [found[key] for key in sorted(found)]


# Definition ---------------------------------------------------------------------------------------


def definitions(analysis: Analysis, offset: int) -> list[Location]:
    """Where what stands at an offset is declared: in a source, in a Python module, or as a file."""
    found = named_at(analysis, offset)
    if found is not None:
        return [found[1].location]
    word = word_at(analysis, offset)
    place = _behind_string(word) if word is not None and word.kind == "string" else None
    return [place] if place is not None else []


def _behind_string(word: CursorWord) -> Location | None:
    match role_of(word):
        case "import":
            return _start_of(imported(word))
        case "path":
            return _start_of(data_file(word))
        case "python":
            found = function_place(word)
            if found is None:
                return None
            module, place = found
            return place or Location(module.source, 0, 0)
        case _:
            return None


def _start_of(path: Path | None) -> Location | None:
    return Location(Source(path, path.name, ""), 0, 0) if path is not None else None


def type_definitions(analysis: Analysis, offset: int) -> list[Location]:
    """Where the types are declared that the value at an offset is made of."""
    found = named_at(analysis, offset)
    if found is None:
        return []
    symbol = found[1]
    places = [one.location for one in _written_types(analysis, symbol)]
    if not places:
        places = list(_of_kind(analysis, _kind_at(analysis, found[0].start)))
    return list({spot(one): one for one in places}.values())


def _kind_at(analysis: Analysis, offset: int) -> Kind | None:
    """The kind of the value that a name stands for, or that a `let` gives it."""
    view = query.view_at(analysis, offset)
    for node in reversed(view.way if view is not None else ()):
        kind = (
            query.type_of(view, node.value if isinstance(node, Let) else node) if view is not None else None
        )
        if kind is not None:
            return kind
    return None


def _written_types(analysis: Analysis, symbol: Symbol) -> Iterator[Symbol]:
    """The declarations that a field's or parameter's type names."""
    place = analysis.session.place(symbol)
    start = symbol.location.start - symbol.block.start
    for node in _items(symbol.declaration):
        if (
            isinstance(node, FieldItem | Parameter)
            and node.name.span.start == start
            and node.type is not None
        ):
            for name in _named_types(node.type):
                target = place.scope.symbols.get(name.name.text) if name.qualifier is None else None
                if name.qualifier is not None:
                    imports = place.scope.imports.get(name.qualifier.text)
                    target = imports.symbols.get(name.name.text) if imports else None
                if target is not None:
                    yield target


def _items(node: Node) -> Iterator[Node]:
    """Every node below."""
    for one in children(node):
        yield one
        yield from _items(one)


def _named_types(node: Node) -> Iterator[NamedType]:
    if isinstance(node, NamedType):
        yield node
    for one in children(node):
        yield from _named_types(one)


def _of_kind(analysis: Analysis, kind: Kind | None) -> Iterator[Location]:
    match kind:
        case GroupList(item=item):
            yield from _of_kind(analysis, item)
        case Group(members=members):
            for one in [each.symbol for each in members.values() if each.symbol][:1]:
                name = one.declaration.name
                if name is not None:
                    start = one.block.start + name.span.start
                    yield Location(one.location.source, start, start + len(name.text))
        case ListOf(item=item) | OptionalOf(item=item):
            yield from _of_kind(analysis, item)
        case DictOf(value=value):
            yield from _of_kind(analysis, value)
        case RecordRef(name=name):
            if name in analysis.session.records:
                yield analysis.session.records[name].location
        case OneOfRecords(records=names):
            yield from (
                analysis.session.records[name].location for name in names if name in analysis.session.records
            )
        case _:
            pass
