"""Whole files: scopes, the language version, imports, names declared twice, what nobody uses."""

from __future__ import annotations

import re
from pathlib import Path

from dspec.grammar.tree import Declaration, Doc, Literal, Name

from ...diagnostics import codes
from ...diagnostics.spelling import closest
from ...project.loading import File, Import, Loaded
from ...project.reads import listed
from ...project.source import Location
from ...tables.block_specs import DeclarationKind
from ...tables.vocabulary import TYPES
from ..session import Place, Session
from ..symbols import FileScope, Symbol

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


def scopes(loaded: Loaded) -> dict[Path, FileScope]:
    """The names of every file. Keys in imported files carry the aliases that lead to them."""
    prefixes: dict[Path, str] = {loaded.main.source.path: ""}
    waiting = [loaded.main]
    while waiting:
        file = waiting.pop(0)
        for entry in file.imports:
            if entry.target is not None and entry.target not in prefixes:
                prefixes[entry.target] = f"{prefixes[file.source.path]}{entry.alias}."
                waiting.append(loaded.files[entry.target])
    found = {
        path: FileScope(file.source, prefixes.get(path, ""), {}, {}) for path, file in loaded.files.items()
    }
    for path, file in loaded.files.items():
        for entry in file.imports:
            found[path].imports.setdefault(entry.alias, found[entry.target] if entry.target else None)
    return found


def declare(session: Session, file: File, scope: FileScope) -> None:
    """Fill a file's scope with its declarations; report names that are declared twice."""
    for block in file.tree.blocks:
        declaration = block.declaration
        if declaration is None or declaration.name is None:
            scope.unreadable.update(re.findall(r"[^\W\d]\w*", block.text[:200])[1:2])
            if (header := re.match(r"([a-z]+)[ \t]*[{(=]", block.text)) and header[1] in KINDS:
                scope.nameless.add(KINDS[header[1]])
            continue
        kind = KINDS.get(declaration.keyword.text)
        if kind is None:
            continue
        place = Place(scope, block, declaration)
        name = declaration.name.text
        symbol = symbol_for(place, kind, declaration.name)
        session.owners[id(symbol)] = scope
        session.declared.append(symbol)
        first = scope.symbols.get(name)
        if first is not None:
            session.report(codes.names.DeclaredTwice(symbol.location, kind, first.location, first.kind))
            session.doubles.append(symbol)
            continue
        # A file that was written before there were tuples may have a type of that name.
        if name in TYPES and name != "tuple" and kind in ("type", "record"):
            session.report(codes.names.BuiltInName(symbol.location))
            continue
        scope.symbols[name] = symbol
        if kind == "record":
            session.records[symbol.key] = symbol
        elif kind == "lm":
            session.lms[symbol.key] = symbol


def symbol_for(place: Place, kind: DeclarationKind, name: Name) -> Symbol:
    """A new symbol for a whole declaration."""
    key, at, doc = place.scope.prefix + name.text, place.at(name), _doc(place.declaration)
    return Symbol(kind, name.text, key, at, place.declaration, place.block, doc, kind)


def _doc(declaration: Declaration) -> str:
    return next((item.text for item in declaration.items or () if isinstance(item, Doc)), "")


def check_version(session: Session, file: File) -> None:
    """`dspec 1` must come first; a newer version cannot be read."""
    source = file.source
    found = [
        (block, block.declaration)
        for block in file.tree.blocks
        if block.declaration is not None and block.declaration.keyword.text == "dspec"
    ]
    if not found:
        if not file.tree.blocks or any(b.declaration is None and b.problems for b in file.tree.blocks[:1]):
            return
        start = file.tree.blocks[0].start
        word = file.tree.blocks[0].declaration
        end = start + (len(word.keyword.text) if word else 1)
        session.report(codes.syntax.NoVersion(Location(source, start, end), LANGUAGE_VERSION))
        return
    block, declaration = found[0]
    value = declaration.value
    if isinstance(value, Literal):
        place = Location(source, block.start + value.span.start, block.start + value.span.end)
        if not isinstance(value.value, int) or isinstance(value.value, bool) or value.value < 1:
            session.report(codes.syntax.UnknownVersion(place, LANGUAGE_VERSION))
        elif value.value > LANGUAGE_VERSION:
            session.report(codes.syntax.UnknownVersion(place, LANGUAGE_VERSION, value.value))
    first = Location(source, block.start, block.start + len("dspec"))
    for again, other in found[1:]:
        span = other.keyword.span
        session.report(
            codes.syntax.VersionTwice(
                Location(source, again.start + span.start, again.start + span.end), first
            )
        )


def check_imports(session: Session, loaded: Loaded, file: File, scope: FileScope) -> None:
    """Report imports that lead nowhere."""
    for entry in file.imports:
        value = entry.declaration.value
        place = Place(scope, entry.block, entry.declaration)
        if entry.problem is None or not isinstance(value, Literal):
            continue
        written, problem = str(value.value), entry.problem
        near = _near_files(file, written, loaded.root) if problem.kind == "missing" else ()
        finding = codes.names.OutsideProject if problem.kind == "outside" else codes.names.CannotImport
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


def check_cycles(session: Session, loaded: Loaded, found: dict[Path, FileScope]) -> None:
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
                _cycle(session, found[file.source.path], entry, [*way, file], target)
            else:
                walk(target, [*way, file])
        done.add(file.source.path)

    walk(loaded.main, [])


def _cycle(session: Session, scope: FileScope, entry: Import, way: list[File], target: File) -> None:
    start = next(position for position, file in enumerate(way) if file is target)
    names = tuple(file.source.name for file in (*way[start:], target))
    place = Place(scope, entry.block, entry.declaration)
    session.report(codes.names.ImportsInCircle(place.at(entry.declaration.value or entry.declaration), names))


def check_unused(session: Session, scope: FileScope) -> None:
    """Warn of imports that the file does not use."""
    for symbol in scope.symbols.values():
        if symbol.kind != "import" or id(symbol) in session.used or scope.imports.get(symbol.name) is None:
            continue
        place = session.place(symbol)
        session.report(codes.names.UnusedImport(symbol.location, place.at(place.declaration.span)))
