"""The one front door of the front end: from a path to diagnostics, symbols and the checked IR.

Terminal, editor and compiler all come in here. Nothing raises for a user's mistake, no model is
called, nothing of the user's runs, and only files inside the project's root are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dspec.grammar.tree import SourceTree

from . import ir
from .check import files
from .check.project import check_declarations, lower
from .check.session import Session
from .check.syntax import check_syntax
from .diagnostics import Diagnostic, has_errors, in_order
from .loading import load
from .source import Location, Source
from .symbols import SymbolTable


@dataclass(frozen=True)
class Analysis:
    """What is known of a file and everything it imports. `project` is None where there are errors.

    `diagnostics` cover the imported files, too. `session` keeps the checked declarations for the
    pure functions in `offers`.
    """

    source: Source
    tree: SourceTree
    symbols: SymbolTable
    diagnostics: tuple[Diagnostic, ...]
    project: ir.Project | None
    session: Session


def analyse(path: Path, *, text: str | None = None, probe: bool = True) -> Analysis:
    """Check the file at `path` and what it imports.

    `text` stands in for the file's content on disk. With `probe` False no data file is touched.
    """
    loaded = load(path, text)
    found = files.scopes(loaded)
    main = found[loaded.main.source.path]
    session = Session(loaded.root, loaded.main.source.path.parent, main, probe)
    if loaded.problem is not None:
        session.report(
            "DS0810",
            f"`{loaded.main.source.name}` cannot be read: {loaded.problem}",
            Location(loaded.main.source, 0, 0),
        )
    for place, file in loaded.files.items():
        for block in file.tree.blocks:
            check_syntax(session, file.source, block)
        files.declare(session, file, found[place])
    for place, file in loaded.files.items():
        files.check_version(session, file)
        files.check_imports(session, loaded, file, found[place])
    files.check_cycles(session, loaded, found)
    for place, file in loaded.files.items():
        check_declarations(session, file, found[place])
    for place in loaded.files:
        files.check_unused(session, found[place])
    diagnostics = in_order(_without_echoes(session.diagnostics))
    project = None if has_errors(diagnostics) else lower(session, found)
    table = SymbolTable(main, tuple(session.declared), tuple(session.uses))
    return Analysis(loaded.main.source, loaded.main.tree, table, tuple(diagnostics), project, session)


def _without_echoes(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Each once, and nothing about text that could not be parsed but that it could not."""
    broken = {
        (found.primary.location.source.path, offset)
        for found in diagnostics
        if found.code in ("DS0101", "DS0109", "DS0114")
        for offset in (found.primary.location.start, found.primary.location.end - 1)
    }
    return [
        found
        for found in dict.fromkeys(diagnostics)
        if found.code < "DS0120"
        or (found.primary.location.source.path, found.primary.location.start) not in broken
    ]
