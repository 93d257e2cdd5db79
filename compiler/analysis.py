"""The one front door of the front end: from a path to diagnostics, symbols and the checked IR.

Terminal, editor and compiler all come in here. Nothing raises, for a user's mistake or for one of
ours; no model is called, nothing of the user's runs, and only files inside the project's root are
read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dspec.grammar.tree import SourceTree

from . import ir
from .check import files
from .check.allows import without_allowed
from .check.project import check_declarations, lower
from .check.session import Crash, Session, crash
from .check.syntax import check_syntax
from .data import Cache
from .diagnostics import Diagnostic, has_errors, in_order
from .loading import Loaded, load
from .settings import read_settings
from .source import Location, Source
from .symbols import FileScope, SymbolTable


@dataclass(frozen=True)
class Analysis:
    """What is known of a file and everything it imports. `project` is None where there are errors.

    `diagnostics` cover the imported files, too, at the levels of the project's settings and without
    what comments allow. `session` keeps the checked declarations for the pure functions in `offers`.
    """

    source: Source
    tree: SourceTree
    symbols: SymbolTable
    diagnostics: tuple[Diagnostic, ...]
    project: ir.Project | None
    session: Session

    @property
    def crashes(self) -> tuple[Crash, ...]:
        """What failed in the toolchain itself: a DS0000 each, among the diagnostics."""
        return tuple(self.session.crashes)

    @property
    def sampled(self) -> tuple[str, ...]:
        """Data files of which only the first rows were looked at."""
        return tuple(dict.fromkeys(self.session.sampled))


def analyse(
    path: Path, *, text: str | None = None, probe: bool = True, deep: bool = False, cache: Cache | None = None
) -> Analysis:
    """Check the file at `path` and what it imports.

    `text` stands in for the file's content on disk. With `probe` False no data file is touched; with
    `deep` all rows of the large ones are read. `cache` remembers what data files hold.
    """
    try:
        return _analyse(load(path, text), probe=probe, deep=deep, cache=cache)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        return _failed(path, text or "", error)


def _analyse(loaded: Loaded, *, probe: bool, deep: bool, cache: Cache | None) -> Analysis:
    found = files.scopes(loaded)
    main = found[loaded.main.source.path]
    session = Session(loaded.root, loaded.main.source.path.parent, main, probe, deep, cache)
    if loaded.problem is not None:
        session.report(
            "DS0810",
            f"`{loaded.main.source.name}` cannot be read: {loaded.problem}",
            Location(loaded.main.source, 0, 0),
        )
    for place, file in loaded.files.items():
        start = Location(file.source, 0, 0)
        for block in file.tree.blocks:
            session.guarded(start, partial(check_syntax, session, file.source, block))
        session.guarded(start, partial(files.declare, session, file, found[place]))
    for place, file in loaded.files.items():
        start = Location(file.source, 0, 0)
        session.guarded(start, partial(files.check_version, session, file))
        session.guarded(start, partial(files.check_imports, session, loaded, file, found[place]))
    top = Location(loaded.main.source, 0, 0)
    session.guarded(top, partial(files.check_cycles, session, loaded, found))
    for place, file in loaded.files.items():
        check_declarations(session, file, found[place])
    for place in loaded.files:
        session.guarded(top, partial(files.check_unused, session, found[place]))
    diagnostics = _settled(session, loaded)
    project = None
    if not has_errors(diagnostics):
        project = session.guarded(top, partial(lower, session, found))
        if project is None:
            diagnostics = in_order(diagnostics + [crash.diagnostic for crash in session.crashes])
    table = SymbolTable(main, tuple(session.declared), tuple(session.uses))
    return Analysis(loaded.main.source, loaded.main.tree, table, tuple(diagnostics), project, session)


def _settled(session: Session, loaded: Loaded) -> list[Diagnostic]:
    """What was found, each once, without what the author allows, at the levels that the project sets."""
    settings = read_settings(loaded.root)
    diagnostics = _without_echoes(session.diagnostics)
    # Where there are errors some checks were left out, and without the data all that is about rows.
    complete = session.probe and not has_errors(diagnostics) and not session.crashes
    for file in loaded.files.values():
        diagnostics = without_allowed(file.source, file.tree, diagnostics, complete=complete)
    found = settings.applied(diagnostics) + list(settings.problems)
    return in_order(found + [crash.diagnostic for crash in session.crashes])


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


def _failed(path: Path, text: str, error: Exception) -> Analysis:
    """What is left to say when not even the parts of a file could be told."""
    place = path.absolute()
    source = Source(place, path.name, text)
    scope = FileScope(source, "", {}, {})
    session = Session(place.parent, place.parent, scope, probe=False)
    session.crashes.append(crash(error, Location(source, 0, 0)))
    found = session.crashes[0].diagnostic
    return Analysis(source, SourceTree(text), SymbolTable(scope), (found,), None, session)
