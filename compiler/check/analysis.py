"""The one front door of the front end: from a path to diagnostics, symbols and the checked IR.

Terminal, editor and compiler all come in here. Nothing raises, for a user's mistake or for one of
ours; no model is called, and only files inside the project's root are read. Nothing of the user's runs
and no network is used, unless the caller asks with `fetch` for rows that are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from pathlib import Path

from msgspec import Struct

from dspec.grammar.tree import SourceTree

from .. import ir
from ..data import Fetcher, When
from ..diagnostics.record import Diagnostic, has_errors, in_order
from ..project.caches import FolderCache
from ..project.loading import Files, resolved
from ..project.source import Location, Source
from .checking import Besides, ProjectCheck
from .session import Crash, Session, crash
from .symbols import FileScope, NameTable, SymbolTable


class Analysis(Struct, frozen=True):
    """What is known of a file and everything it imports. `project` is None where there are errors, and
    where nobody asked for it.

    `diagnostics` cover the imported files, too, at the levels of the project's settings and without
    what comments allow. `session` keeps the checked declarations for the pure functions in `query`.
    """

    source: Source
    tree: SourceTree
    symbols: SymbolTable
    diagnostics: tuple[Diagnostic, ...]
    project: ir.Project | None
    session: Session
    sources: tuple[Source, ...] = ()
    """The files that were checked, with their texts: the root file first, and what it imports."""

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
    cache: FolderCache | None = None,
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
    try:
        here = {} if text is None else {resolved(path.absolute()): text}
        files = Files({**(texts or {}), **here})
        fetcher = Fetcher(fetch, only)
        checking = ProjectCheck(path, files, probe=probe, deep=deep, cache=cache, fetcher=fetcher)
        return analysed(checking, asked=asked, besides=besides, lowering=True)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        return failed(path, text or "", error)


def analyse_all(
    paths: Iterable[Path],
    *,
    deep: bool = False,
    cache: Callable[[Path], FolderCache | None] = lambda _: None,
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
    files = Files(texts)
    fetcher = Fetcher(fetch)
    analyses: list[Analysis] = []
    waiting: list[ProjectCheck] = []
    for path in paths:
        try:
            one = ProjectCheck(path, files, probe=True, deep=deep, cache=cache(path), fetcher=fetcher)
            waiting.append(one)
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            analyses.append(failed(path, "", error))
    imported = {
        entry.target
        for one in waiting
        for entry in one.loaded.main.imports
        if entry.target != one.loaded.main.source.path
    }
    # False comes first; of files that import each other in a circle, the first one stands for all.
    waiting.sort(key=lambda one: one.loaded.main.source.path in imported)
    settled: set[Path] = set()
    for one in waiting:
        if one.loaded.main.source.path in settled:
            continue
        try:
            analysis = analysed(one, settled=settled, besides=besides)
        except Exception as error:  # noqa: BLE001 - as above
            analysis = failed(one.path, one.loaded.main.source.text, error)
        analyses.append(analysis)
        settled.update(one.loaded.files)
    return analyses


def analysed(
    checking: ProjectCheck,
    *,
    asked: int | None = None,
    settled: Set[Path] | None = None,
    besides: Besides | None = None,
    lowering: bool = False,
) -> Analysis:
    """What is known of a file as it is now. The project is made if `lowering` says so; for the rest see
    `ProjectCheck.check`."""
    diagnostics = checking.check(asked=asked, settled=settled, besides=besides)
    session, main = checking.session, checking.loaded.main
    project = None
    if lowering and not has_errors(diagnostics):
        project = session.guarded(Location(main.source, 0, 0), checking.lowered)
        if project is None:
            diagnostics = in_order(diagnostics + [crash.finding.told() for crash in session.crashes])
    symbols = SymbolTable(session.main, checking)
    sources = tuple(file.source for file in checking.loaded.files.values())
    return Analysis(main.source, main.tree, symbols, tuple(diagnostics), project, session, sources)


def failed(path: Path, text: str, error: Exception) -> Analysis:
    """The analysis of a file whose check failed as a whole: the crash is its only diagnostic."""
    place = path.absolute()
    source = Source(place, path.name, text)
    scope = FileScope(source, "", NameTable())
    session = Session(place.parent, place.parent, scope, probe=False)
    session.crashes.append(crash(error, Location(source, 0, 0)))
    found = session.crashes[0].finding.told()
    return Analysis(source, SourceTree(text), SymbolTable(scope), (found,), None, session)
