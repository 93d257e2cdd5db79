"""The one front door of the front end: from a path to diagnostics, symbols and the checked IR.

Terminal, editor and compiler all come in here. Nothing raises, for a user's mistake or for one of
ours; no model is called, and only files inside the project's root are read. Nothing of the user's runs
and no network is used, unless the caller asks with `fetch` for rows that are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import partial
from pathlib import Path

from msgspec import Struct

from dspec.grammar.tree import SourceTree
from dspec.grammar.walk import block_at

from .. import ir
from ..data import Fetcher, When
from ..diagnostics import codes
from ..diagnostics.echoes import without_echoes
from ..diagnostics.record import Diagnostic, has_errors, in_order
from ..diagnostics.settings import read_settings
from ..project.caches import Cache
from ..project.loading import File, Loaded, load, stand_in
from ..project.source import Location, Source
from .allows import without_allowed
from .names import files
from .project import DECLARATIONS, check_declarations, lower
from .session import Crash, Session, crash
from .shape.syntax import check_syntax
from .symbols import FileScope, Symbol, SymbolTable

Besides = Callable[[Session, Callable[[], ir.Project]], None]
"""A check that needs more than the front end: it reports to the session what it finds in a file without errors, whose
project it may ask for."""
OF_BESIDES = frozenset({codes.models.DS0714.name})
"""What is found by such a check alone."""


class Analysis(Struct, frozen=True):
    """What is known of a file and everything it imports. `project` is None where there are errors, and
    where nobody asked for it (`analyse_all`).

    `diagnostics` cover the imported files, too, at the levels of the project's settings and without
    what comments allow. `session` keeps the checked declarations for the pure functions in `query`.
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

    @property
    def fetched(self) -> tuple[str, ...]:
        """The sources that were asked for their rows, each with the result."""
        return tuple(dict.fromkeys(self.session.fetched))


def analyse(
    path: Path,
    *,
    text: str | None = None,
    probe: bool = True,
    deep: bool = False,
    cache: Cache | None = None,
    fetch: When = "never",
    only: Collection[ir.DataSource] | None = None,
    asked: int | None = None,
    texts: Mapping[Path, str] | None = None,
    besides: Besides | None = None,
) -> Analysis:
    """Check the file at `path` and what it imports.

    `text` stands in for the file's content on disk, and `texts`, by resolved path, for that of files it imports. With
    `probe` False no data file is touched; with `deep` all rows of the large ones are read. `cache` remembers what data
    files hold. `fetch` says which rows of `python` and `huggingface` sources are asked for: with "never", those kept from
    before are read.
    With `only`, no other source is asked. `asked` is the offset that a `query` will be about: the analysis
    keeps a journal of the declaration there. `besides` is what else is checked.
    """
    fetcher = Fetcher(fetch, only)
    known: dict[tuple[Path, Path], File] = {}
    try:
        for place, held in (texts or {}).items():
            stand_in(place, held, known)
        loaded = load(path, text, known=known)
        return _analyse(
            loaded, probe=probe, deep=deep, cache=cache, fetcher=fetcher, asked=asked, besides=besides
        )
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        return _failed(path, text or "", error)


def analyse_all(
    paths: Iterable[Path],
    *,
    deep: bool = False,
    cache: Callable[[Path], Cache | None] = lambda _: None,
    fetch: When = "never",
    texts: Mapping[Path, str] | None = None,
    besides: Besides | None = None,
) -> list[Analysis]:
    """Check several files for their diagnostics; `cache` gives the cache of a file's project, and `besides` is what else
    is checked.

    `texts`, by resolved path, stand in for what files hold on disk.

    Every file is read, parsed and checked once. A file that another of them imports is checked as a part of
    the other, whose models it may use, and its diagnostics stand in that analysis only.
    """
    known: dict[tuple[Path, Path], File] = {}
    for place, text in (texts or {}).items():
        stand_in(place, text, known)
    analyses: list[Analysis] = []
    waiting: list[tuple[Path, Loaded]] = []
    for path in paths:
        try:
            waiting.append((path, load(path, known=known)))
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            analyses.append(_failed(path, "", error))
    imported = {
        entry.target
        for _, loaded in waiting
        for entry in loaded.main.imports
        if entry.target != loaded.main.source.path
    }
    # False comes first; of files that import each other in a circle, the first one stands for all.
    waiting.sort(key=lambda one: one[1].main.source.path in imported)
    settled: set[Path] = set()
    fetcher = Fetcher(fetch)
    for path, loaded in waiting:
        if loaded.main.source.path in settled:
            continue
        try:
            analysis = _analyse(
                loaded,
                probe=True,
                deep=deep,
                cache=cache(path),
                fetcher=fetcher,
                settled=settled,
                besides=besides,
            )
        except Exception as error:  # noqa: BLE001 - as above
            analysis = _failed(path, loaded.main.source.text, error)
        analyses.append(analysis)
        settled.update(loaded.files)
    return analyses


def _analyse(
    loaded: Loaded,
    *,
    probe: bool,
    deep: bool,
    cache: Cache | None,
    fetcher: Fetcher,
    settled: Set[Path] | None = None,
    asked: int | None = None,
    besides: Besides | None = None,
) -> Analysis:
    """With `settled`, a declaration in one of these files is checked only if another file needs it, nothing is
    reported about it, and no project is made."""
    here = [file for place, file in loaded.files.items() if not settled or place not in settled]
    found = files.scopes(loaded)
    main = found[loaded.main.source.path]
    session = Session(
        loaded.root, loaded.main.source.path.parent, main, probe, deep, cache, fetcher, DECLARATIONS
    )
    if loaded.problem is not None:
        session.report(codes.project.SourceUnreadable(Location(loaded.main.source, 0, 0), loaded.problem))
    for place, file in loaded.files.items():
        start = Location(file.source, 0, 0)
        for block in file.tree.blocks if file in here else ():
            session.guarded(start, partial(check_syntax, session, file.source, block))
        session.guarded(start, partial(files.declare, session, file, found[place]))
    if asked is not None:
        session.asked = _around(loaded.main.tree, main, asked)
    for place, file in loaded.files.items():
        start = Location(file.source, 0, 0)
        session.guarded(start, partial(files.check_version, session, file))
        session.guarded(start, partial(files.check_imports, session, loaded, file, found[place]))
    top = Location(loaded.main.source, 0, 0)
    session.guarded(top, partial(files.check_cycles, session, loaded, found))
    for file in here:
        check_declarations(session, file, found[file.source.path])
    for file in here:
        session.guarded(top, partial(files.check_unused, session, found[file.source.path]))
    looked = OF_BESIDES if besides is not None else frozenset[str]()
    diagnostics = _settled(session, loaded, here, looked)
    if besides is not None and probe and not has_errors(diagnostics):
        before = len(session.findings) + len(session.crashes)
        session.guarded(top, partial(besides, session, partial(lower, session, found)))
        if len(session.findings) + len(session.crashes) > before:
            diagnostics = _settled(session, loaded, here, looked)
    project = None
    if settled is None and not has_errors(diagnostics):
        project = session.guarded(top, partial(lower, session, found))
        if project is None:
            diagnostics = in_order(diagnostics + [crash.finding.told() for crash in session.crashes])
    table = SymbolTable(main, tuple(session.declared), tuple(session.uses))
    return Analysis(loaded.main.source, loaded.main.tree, table, tuple(diagnostics), project, session)


def _around(tree: SourceTree, file: FileScope, offset: int) -> Symbol | None:
    """The symbol of the declaration around an offset of the file."""
    block = block_at(tree, offset)
    declaration = block.declaration if block else None
    symbol = file.symbols.get(declaration.name.text) if declaration and declaration.name else None
    return symbol if symbol and symbol.block is block else None


def _settled(session: Session, loaded: Loaded, here: list[File], looked: Collection[str]) -> list[Diagnostic]:
    """The findings, each once, without those that the author allows, at the levels that the project sets. `looked` has
    the codes of the caller's own checks (`besides`) that ran."""
    settings = read_settings(loaded.root)
    diagnostics = without_echoes(session.findings)
    if len(here) < len(loaded.files):
        there = {file.source.path for file in loaded.files.values()} - {file.source.path for file in here}
        diagnostics = [one for one in diagnostics if one.primary.location.source.path not in there]
    # After an error some checks are left out; without the data, every check of rows is.
    complete = session.probe and not has_errors(diagnostics) and not session.crashes
    for file in here:
        diagnostics = without_allowed(
            file.source, file.tree, diagnostics, complete=complete, unlooked=OF_BESIDES.difference(looked)
        )
    found = settings.applied(diagnostics) + [problem.told() for problem in settings.problems]
    return in_order(found + [crash.finding.told() for crash in session.crashes])


def _failed(path: Path, text: str, error: Exception) -> Analysis:
    """The analysis of a file whose check failed as a whole: the crash is its only diagnostic."""
    place = path.absolute()
    source = Source(place, path.name, text)
    scope = FileScope(source, "", {}, {})
    session = Session(place.parent, place.parent, scope, probe=False)
    session.crashes.append(crash(error, Location(source, 0, 0)))
    found = session.crashes[0].finding.told()
    return Analysis(source, SourceTree(text), SymbolTable(scope), (found,), None, session)
