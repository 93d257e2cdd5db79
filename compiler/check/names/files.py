"""Whole files: scopes, the language version, imports, names declared twice, what nobody uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field

from dspec.grammar.tree import Block, Declaration, Doc, Literal, Name

from ...diagnostics import codes
from ...diagnostics.spelling import closest
from ...project.loading import File, Import, Loaded
from ...project.reads import listed
from ...project.source import Location
from ...tables.block_specs import DeclarationKind
from ...tables.vocabulary import TYPES
from ..session import Place, Session
from ..symbols import FileScope, Gaps, Symbol

LANGUAGE_VERSION = 1

KINDS: dict[str, DeclarationKind] = {
    "extern": "extern",
    "type": "type",
    "record": "record",
    "lm": "lm",
    "signature": "signature",
    "module": "module",
    "program": "program",
    "dataset": "dataset",
    "metric": "metric",
    "optimize": "optimize",
    "eval": "eval",
    "test": "test",
    "import": "import",
}


class Unit(Struct, eq=False):
    """A block of a file, as long as its text stays the same, with the symbol that it declares."""

    scope: FileScope
    block: Block
    symbol: Symbol | None
    gone: bool = False
    """Whether the file has no such block any more."""


class FileNames(Struct, eq=False):
    """What a file declares. `doubles` are declarations whose names were taken: checked, but never found by name."""

    file: File
    scope: FileScope
    version: int = -1
    """The version of the file that this was read from."""
    blocks: tuple[Block, ...] = ()
    units: list[Unit] = field(default_factory=list[Unit])
    doubles: list[Symbol] = field(default_factory=list[Symbol])
    waiting: dict[Unit, None] = field(default_factory=dict[Unit, None])
    """Units to be checked."""

    def in_order(self) -> tuple[list[Unit], list[Unit]]:
        """The units to be checked, and those of them that declare something: first what is found by name."""
        units = sorted(self.waiting, key=lambda unit: unit.block.start)
        taken = {id(one) for one in self.doubles}
        doubles = [unit for unit in units if id(unit.symbol) in taken]
        found = [unit for unit in units if unit.symbol is not None and self.scope.symbols.has(unit.symbol)]
        return units, found + doubles


def prefixes(loaded: Loaded) -> dict[Path, str]:
    """What stands before the names of each file in keys: the aliases that lead there."""
    found: dict[Path, str] = {loaded.main.source.path: ""}
    waiting = [loaded.main]
    while waiting:
        file = waiting.pop(0)
        for entry in file.imports:
            if entry.target is not None and entry.target not in found:
                found[entry.target] = f"{found[file.source.path]}{entry.alias}."
                waiting.append(loaded.files[entry.target])
    return {path: found.get(path, "") for path in loaded.files}


def imported(file: File, names: Mapping[Path, FileNames]) -> dict[str, FileScope | None]:
    """The file behind each alias."""
    found: dict[str, FileScope | None] = {}
    for entry in file.imports:
        found.setdefault(entry.alias, names[entry.target].scope if entry.target else None)
    return found


def unit_of(scope: FileScope, block: Block) -> Unit:
    declaration = block.declaration
    kind = KINDS.get(declaration.keyword.text) if declaration is not None else None
    if declaration is None or declaration.name is None or kind is None:
        return Unit(scope, block, None)
    return Unit(scope, block, symbol_for(Place(scope, block, declaration), kind, declaration.name))


def gaps_in(units: Iterable[Unit]) -> Gaps:
    """What may be declared by blocks that could not be read."""
    unreadable: set[str] = set()
    nameless: set[DeclarationKind] = set()
    for unit in units:
        declaration = unit.block.declaration
        if declaration is None or declaration.name is None:
            text = unit.block.text[:200]
            unreadable.update(re.findall(r"[^\W\d]\w*", text)[1:2])
            if (header := re.match(r"([a-z]+)[ \t]*[{(=]", text)) and header[1] in KINDS:
                nameless.add(KINDS[header[1]])
    return Gaps(frozenset(unreadable), frozenset(nameless))


def declare(session: Session, names: FileNames) -> dict[str, Symbol]:
    """The file's declarations by name; reports names that are declared twice."""
    found: dict[str, Symbol] = {}
    names.doubles = []
    for unit in names.units:
        symbol = unit.symbol
        if symbol is None:
            continue
        first = found.get(symbol.name)
        if first is not None:
            session.report(
                codes.repeats.DeclaredTwice(
                    symbol.location, declared_kind(symbol), first.location, first.kind
                )
            )
            names.doubles.append(symbol)
        # A file that was written before there were tuples may have a type of that name.
        elif symbol.name in TYPES and symbol.name != "tuple" and symbol.kind in ("type", "record"):
            session.report(codes.repeats.BuiltInName(symbol.location))
        else:
            found[symbol.name] = symbol
    return found


def declared_kind(symbol: Symbol) -> DeclarationKind:
    return KINDS[symbol.declaration.keyword.text]


def symbol_for(place: Place, kind: DeclarationKind, name: Name) -> Symbol:
    """A new symbol for a whole declaration."""
    key, at, doc = place.scope.prefix + name.text, place.at(name), _doc(place.declaration)
    return Symbol(kind, name.text, key, at, place.declaration, place.block, place.scope, doc, kind)


def _doc(declaration: Declaration) -> str:
    return next((item.text for item in declaration.items or () if isinstance(item, Doc)), "")


def check_version(session: Session, names: FileNames) -> None:
    """`dspec 1` must come first; a newer version cannot be read."""
    source, blocks = names.scope.source, names.blocks
    found = [
        (block, block.declaration)
        for block in blocks
        if block.declaration is not None and block.declaration.keyword.text == "dspec"
    ]
    if not found:
        if not blocks or any(b.declaration is None and b.problems for b in blocks[:1]):
            return
        word = blocks[0].declaration
        start = Location(source, 0, len(word.keyword.text) if word else 1, blocks[0])
        session.report(codes.syntax.NoVersion(start, LANGUAGE_VERSION))
        return
    block, declaration = found[0]
    value = declaration.value
    if isinstance(value, Literal):
        place = Location(source, value.span.start, value.span.end, block)
        if not isinstance(value.value, int) or isinstance(value.value, bool) or value.value < 1:
            session.report(codes.syntax.UnknownVersion(place, LANGUAGE_VERSION))
        elif value.value > LANGUAGE_VERSION:
            session.report(codes.syntax.UnknownVersion(place, LANGUAGE_VERSION, value.value))
    first = Location(source, 0, len("dspec"), block)
    for again, other in found[1:]:
        span = other.keyword.span
        session.report(codes.attributes.VersionTwice(Location(source, span.start, span.end, again), first))


def check_imports(session: Session, names: FileNames) -> None:
    """Report imports that lead nowhere."""
    file = names.file
    for entry in file.imports:
        value = entry.declaration.value
        place = Place(names.scope, entry.block, entry.declaration)
        if entry.problem is None or not isinstance(value, Literal):
            continue
        written, problem = str(value.value), entry.problem
        near = _near_files(file, written, session.root) if problem.kind == "missing" else ()
        finding = codes.imports.OutsideProject if problem.kind == "outside" else codes.imports.CannotImport
        session.report(finding(place.at(value), written, problem.reason, near, problem.kind == "missing"))


def _near_files(file: File, written: str, root: Path) -> tuple[str, ...]:
    """Sources beside the one that was meant, with similar names."""
    folder, _, name = written.rpartition("/")
    place = (file.source.path.parent / folder).resolve()
    if not place.is_relative_to(root) or not place.is_dir():
        return ()
    listed(place)
    names = sorted(entry.name for entry in place.iterdir() if entry.suffix == ".dspec")[:200]
    near = closest(name, [other for other in names if other != file.source.path.name])
    return tuple(f"{folder}/{other}" if folder else other for other in near)


def check_cycles(session: Session, loaded: Loaded, found: Mapping[Path, FileNames]) -> None:
    """Report each circle of imports once, at the import that closes it."""
    done: set[Path] = set()

    def walk(file: File, way: list[File]) -> None:
        if file.source.path in done:
            return
        for entry in file.imports:
            if entry.target is None:
                continue
            target = loaded.files[entry.target]
            if any(other is target for other in (*way, file)):
                _cycle(session, found[file.source.path].scope, entry, [*way, file], target)
            else:
                walk(target, [*way, file])
        done.add(file.source.path)

    walk(loaded.main, [])


def _cycle(session: Session, scope: FileScope, entry: Import, way: list[File], target: File) -> None:
    start = next(position for position, file in enumerate(way) if file is target)
    names = tuple(file.source.name for file in (*way[start:], target))
    place = Place(scope, entry.block, entry.declaration)
    session.report(
        codes.imports.ImportsInCircle(place.at(entry.declaration.value or entry.declaration), names)
    )


def check_unused(session: Session, names: FileNames) -> None:
    """Warn of imports that the file does not use."""
    scope = names.scope
    for symbol in scope.symbols.of_kind("import"):
        if session.imports_used[id(symbol)] or scope.imports.get(symbol.name) is None:
            continue
        place = session.place(symbol)
        session.report(codes.names.UnusedImport(symbol.location, place.at(place.declaration.span)))
