"""Whole files: scopes, the language version, imports, names declared twice, what nobody uses."""

from __future__ import annotations

import re
from pathlib import Path

from dspec.grammar.tree import Block, Declaration, Doc, Literal, Span

from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.spelling import closest
from ...project.loading import File, Import, Loaded
from ...project.reads import listed
from ...project.source import Location
from ...tables.block_specs import DeclarationKind
from ...tables.vocabulary import TYPES
from ..session import Place, Session, suggestions
from ..symbols import FileScope, Symbol
from .names import NOUNS, did_you_mean

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
        symbol = Symbol(
            kind,
            name,
            scope.prefix + name,
            place.at(declaration.name),
            declaration,
            block,
            _doc(declaration),
            kind,
        )
        session.owners[id(symbol)] = scope
        session.declared.append(symbol)
        first = scope.symbols.get(name)
        if first is not None:
            session.report(
                "DS0203",
                f"`{name}` is declared twice"
                + ("" if first.kind == kind else f", as {NOUNS[first.kind]} and as {NOUNS[kind]}"),
                symbol.location,
                "again here",
                secondary=(Label(first.location, "first declared here"),),
                help="names are shared by all kinds of declarations: give one of them another name",
            )
            session.doubles.append(symbol)
            continue
        if name in TYPES and kind in ("type", "record"):
            session.report(
                "DS0209",
                f"`{name}` is a built-in type and cannot be declared again",
                symbol.location,
                "built in",
            )
            continue
        scope.symbols[name] = symbol
        if kind == "record":
            session.records[symbol.key] = symbol
        elif kind == "lm":
            session.lms[symbol.key] = symbol


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
        start = Location(source, file.tree.blocks[0].start, file.tree.blocks[0].start)
        word = file.tree.blocks[0].declaration
        end = start.start + (len(word.keyword.text) if word else 1)
        session.report(
            "DS0108",
            "this file does not say which version of the language it is written in",
            Location(source, start.start, end),
            help=f"start it with `dspec {LANGUAGE_VERSION}`",
            fixes=(
                Fix(
                    f"Insert `dspec {LANGUAGE_VERSION}`",
                    (Edit(start, f"dspec {LANGUAGE_VERSION}\n\n"),),
                ),
            ),
        )
        return
    block, declaration = found[0]
    value = declaration.value
    if isinstance(value, Literal):
        place = Location(source, block.start + value.span.start, block.start + value.span.end)
        if not isinstance(value.value, int) or isinstance(value.value, bool) or value.value < 1:
            session.report(
                "DS0112",
                f"there is no language version {_text(block, value.span)}",
                place,
                f"known: {LANGUAGE_VERSION}",
            )
        elif value.value > LANGUAGE_VERSION:
            session.report(
                "DS0112",
                f"this file is written in version {value.value} of the language, and this compiler knows "
                "version "
                f"{LANGUAGE_VERSION}",
                place,
                "newer than this compiler",
                help="upgrade with `pip install --upgrade dspc`",
            )
    for again, other in found[1:]:
        span = other.keyword.span
        session.report(
            "DS0106",
            "the language version is given twice",
            Location(source, again.start + span.start, again.start + span.end),
            "again here",
            secondary=(Label(Location(source, block.start, block.start + len("dspec")), "first here"),),
        )


def _text(block: Block, span: Span) -> str:
    return block.text[span.start : span.end]


def check_imports(session: Session, loaded: Loaded, file: File, scope: FileScope) -> None:
    """Report imports that lead nowhere."""
    for entry in file.imports:
        value = entry.declaration.value
        place = Place(scope, entry.block, entry.declaration)
        if entry.problem is None or not isinstance(value, Literal):
            continue
        written = str(value.value)
        near = (
            _near_files(file, written, loaded.root) if entry.problem.reason == "there is no such file" else ()
        )
        session.report(
            entry.problem.code,
            f'cannot import "{written}": {entry.problem.reason}{did_you_mean(near)}',
            place.at(value),
            "not found" if entry.problem.reason == "there is no such file" else "cannot be imported",
            fixes=suggestions(place.at(value), tuple(f'"{name}"' for name in near)),
        )


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
    names = [file.source.name for file in (*way[start:], target)]
    place = Place(scope, entry.block, entry.declaration)
    session.report(
        "DS0214",
        "this file imports itself"
        if len(names) == 2
        else f"these files import each other in a circle: {' → '.join(names)}",
        place.at(entry.declaration.value or entry.declaration),
        "closes the circle",
        help="a file's own names need no alias"
        if len(names) == 2
        else "move what both need into a third file",
    )


def check_unused(session: Session, scope: FileScope) -> None:
    """Warn of imports that the file does not use."""
    for symbol in scope.symbols.values():
        if symbol.kind != "import" or id(symbol) in session.used or scope.imports.get(symbol.name) is None:
            continue
        place = session.place(symbol)
        session.report(
            "DS0205",
            f"the import `{symbol.name}` is never used",
            symbol.location,
            "not used",
            fixes=(Fix("Remove it", (Edit(place.at(place.declaration.span), ""),), "maybe"),),
        )
