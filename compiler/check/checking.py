"""Keeps a project checked while its files change: an edit costs the declarations that it changes, and those that need them.

What a check of a declaration gives depends on its block, on the names that it looked up, on results of other
checks and on files of data. A `Session` keeps every result with what it was made from, so here it only has to be said
what has changed: blocks, by their identity (`grammar.reparse` keeps those that an edit leaves alone); names, by comparing
each file's table with the one before; files, by their stamps. Places count from their blocks, so a result stays
right where its block has moved.

What remains for each edit is small: the checks of whole files (names declared twice, imports that nobody uses,
what comments allow), and joining the findings. A command that checks a project once comes through here, too, and notes nothing.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from functools import partial
from pathlib import Path

from .. import ir
from ..data import AtOnce, DataLooks, Fetcher
from ..diagnostics import codes
from ..diagnostics.codes.base import Finding
from ..diagnostics.echoes import without_echoes
from ..diagnostics.record import Diagnostic, has_errors, in_order
from ..diagnostics.settings import FILE as SETTINGS
from ..diagnostics.settings import Settings, read_settings
from ..project.caches import FolderCache
from ..project.loading import File, Files, Loaded
from ..project.reads import stamp
from ..project.source import Location
from .allows import without_allowed
from .names import files as of_files
from .names.files import FileNames, Unit
from .project import DECLARATIONS, check_declarations, lower
from .session import MAX_STEPS, DeclarationResult, Session
from .symbols import FileScope, NameTable, Read, Reads, Symbol, Use

Besides = Callable[[Session, Callable[[], ir.Project]], None]
"""A check that needs more than the front end: it reports to the session what it finds in a file without errors, whose
project it may ask for."""
OF_BESIDES = frozenset({codes.models.DS0714.name})
"""What is found by such a check alone."""


class ProjectCheck:
    """A root file with all that it imports, and what is known of them.

    `looks` makes what answers questions about data, for paths from a folder and within a root; otherwise they are
    answered at once, with the help of `cache`. With `noting`, `check` may be called again when the files have changed, and
    makes only what follows from that.
    """

    def __init__(
        self,
        path: Path,
        sources: Files,
        *,
        probe: bool,
        deep: bool = False,
        cache: FolderCache | None = None,
        fetcher: Fetcher | None = None,
        looks: Callable[[Path, Path], DataLooks] | None = None,
        noting: bool = False,
    ) -> None:
        self.path = path
        self.sources = sources
        self._looks = looks or partial(AtOnce, cache=cache)
        self.changes = sources.changes
        self.loaded: Loaded = sources.load(path)
        self.names: dict[Path, FileNames] = {}
        self._by_scope: dict[int, FileNames] = {}
        self._reads = Reads()
        main = self._scope(self.loaded.main, "")
        root, folder = self.loaded.root, self.loaded.main.source.path.parent
        self.session = Session(
            root,
            folder,
            main,
            probe,
            deep,
            self._looks(folder, root),
            fetcher or Fetcher(),
            DECLARATIONS,
            noting,
            self._reads,
            NameTable(self._reads),
            NameTable(self._reads),
        )
        self.settings: Settings | None = None
        self._graph_changed = True

    # What has changed -----------------------------------------------------------------------------

    def _scope(self, file: File, prefix: str) -> FileScope:
        return FileScope(file.source, prefix, NameTable(self._reads), self._reads)

    def refresh(self) -> None:
        """Look again at all that is on disk beside the sources: data, Python, the settings."""
        session = self.session
        self.settings = None
        stamps: dict[str, str] = {}
        changed: list[DeclarationResult] = []
        for result in session.filed:
            for name, before in (result.files or {}).items():
                if name not in stamps:
                    stamps[name] = stamp(name)
                if stamps[name] != before:
                    changed.append(result)
                    break
        self._drop(changed)

    @property
    def questions(self) -> list[str]:
        """Questions about data that are not answered yet."""
        return list(dict.fromkeys(name for result in self.session.unseen for name in result.unseen))

    @property
    def has_data(self) -> bool:
        """Whether a file of the project declares a dataset."""
        return any(
            unit.symbol is not None and unit.symbol.kind == "dataset"
            for names in self.names.values()
            for unit in names.units
        )

    def answered(self) -> None:
        """Ask again whatever was not answered."""
        self._drop(list(self.session.unseen))

    def looked_at(self, path: Path) -> bool:
        """Whether the file at a resolved path is one of the project's, or an import leads there in vain."""
        return path in self.loaded.files or any(
            path == Path(os.path.normpath(names.file.source.path.parent / entry.written))
            for names in self.names.values()
            for entry in names.file.imports
            if entry.target is None
        )

    def _update(self) -> None:
        """Drop what does not hold any more, and bring the tables of names up to date."""
        session = self.session
        self._drop(list(session.unsteady))
        if self.changes != self.sources.changes:
            self.changes = self.sources.changes
            self.loaded = self.sources.load(self.path)
            self._graph_changed = True
            if self.loaded.root != session.root:
                session.root = self.loaded.root
                session.looks = self._looks(session.folder, session.root)
                self.settings = None
                self._drop(list(session.results.values()))
        changed: set[Read] = set()
        if self._graph_changed:
            self._regroup()
        names_changed = self._graph_changed
        for names in self.names.values():
            if names.version != names.file.version:
                names_changed |= self._declare(names, changed)
        if self._graph_changed:
            for names in self.names.values():
                found = of_files.imported(names.file, self.names)
                if list(found.items()) != list(names.scope.aliases.items()):  # messages list them in order
                    names.scope.aliases.clear()
                    names.scope.aliases.update(found)
                    changed.add((names.scope.symbols.number, "", "imports"))
                self._drop(filter(None, [session.results.get((of_files.check_imports, id(names)))]))
            self._drop_of(self)
        if names_changed:
            changed |= session.records.become(self._by_key("record"))
            changed |= session.lms.become(self._by_key("lm"))
        readers = session.readers
        self._drop([result for read in changed for result in readers.get(read, ())])
        self._graph_changed = False

    def _drop(self, results: Iterable[DeclarationResult]) -> None:
        """Drop results, and have the units checked again that had them."""
        for result in self.session.drop(results):
            unit = result.subject
            if isinstance(unit, Unit) and not unit.gone:
                self._by_scope[id(unit.scope)].waiting[unit] = None

    def _drop_of(self, subject: object) -> None:
        self._drop(list(self.session.of.get(id(subject), ())))

    def _by_key(self, kind: str) -> dict[str, Symbol]:
        return {
            symbol.key: symbol
            for names in self.names.values()
            for symbol in names.scope.symbols.values()
            if symbol.kind == kind
        }

    def _regroup(self) -> None:
        """Keep the names of files that the project has still, under the same aliases, and begin those of others."""
        session = self.session
        prefixes = of_files.prefixes(self.loaded)
        before, self.names = self.names, {}
        for path, file in self.loaded.files.items():
            names = before.pop(path, None)
            if names is not None and (names.file is not file or names.scope.prefix != prefixes[path]):
                self._forget(names)
                names = None
            if names is None:
                main = file is self.loaded.main and session.main.source is file.source
                scope = session.main if main else self._scope(file, prefixes[path])
                names = FileNames(file, scope)
            self.names[path] = names
        for names in before.values():
            self._forget(names)
        self._by_scope = {id(names.scope): names for names in self.names.values()}
        main = self.names[self.loaded.main.source.path].scope
        if main is not session.main:
            self._drop(list(session.results.values()))
            session.main = main

    def _forget(self, names: FileNames) -> None:
        for unit in names.units:
            self._forget_unit(unit)
        self._drop_of(names)
        self._drop_of(names.scope)

    def _forget_unit(self, unit: Unit) -> None:
        unit.gone = True
        self._by_scope[id(unit.scope)].waiting.pop(unit, None)
        self._drop_of(unit)
        if unit.symbol is not None:
            self._drop_of(unit.symbol)

    def _declare(self, names: FileNames, changed: set[Read]) -> bool:
        """Bring a file's names up to date. True where other names are declared than before."""
        old, new = names.blocks, names.file.tree.blocks
        names.version, names.blocks = names.file.version, new
        if len(old) == len(new):
            places = [place for place, (a, b) in enumerate(zip(old, new, strict=True)) if a is not b]
            if all(self._replaced(names, place, changed) for place in places):
                return False
        known = {id(unit.block): unit for unit in names.units}
        units = [known.pop(id(block), None) or of_files.unit_of(names.scope, block) for block in new]
        for unit in known.values():
            self._forget_unit(unit)
        before = set(names.units)
        names.waiting.update((unit, None) for unit in units if unit not in before)
        names.units = units
        self._drop_of(names)
        found = self.session.once(of_files.declare, names)
        changed |= names.scope.symbols.become(found or {})
        gaps = of_files.gaps_in(units)
        if gaps != names.scope.gaps:
            names.scope.gaps.unreadable, names.scope.gaps.nameless = gaps.unreadable, gaps.nameless
            changed.add((names.scope.symbols.number, "", "gaps"))
        return True

    def _replaced(self, names: FileNames, place: int, changed: set[Read]) -> bool:
        """Put one block's unit in another's place, if both declare the same name; else False."""
        unit, scope = names.units[place], names.scope
        new = of_files.unit_of(scope, names.blocks[place])
        before, after = unit.symbol, new.symbol
        if (
            not place
            or before is None
            or after is None
            or (before.name, before.kind) != (after.name, after.kind)
            or before.kind == "import"
            or names.doubles
            or not scope.symbols.has(before)
        ):
            return False
        self._forget_unit(unit)
        names.units[place] = new
        names.waiting[new] = None
        changed |= scope.symbols.put(after)
        if after.kind == "record":
            changed |= self.session.records.put(after, after.key)
        elif after.kind == "lm":
            changed |= self.session.lms.put(after, after.key)
        return True

    # Checking -----------------------------------------------------------------------------------------

    def check(
        self, *, asked: int | None = None, settled: Set[Path] | None = None, besides: Besides | None = None
    ) -> list[Diagnostic]:
        """The diagnostics of the root file and of what it imports, at the levels of the project's settings and without
        what comments allow.

        `asked` is the offset that a `query` will be about: a journal is kept of the declaration there. With `settled`, a
        declaration in one of these files is checked only if another file needs it, and nothing is reported about it.
        `besides` is what else is checked.
        """
        session = self.session
        session.begin()
        self._update()
        loaded = self.loaded
        here = [names for path, names in self.names.items() if not settled or path not in settled]
        top = Location(loaded.main.source, 0, 0)
        if loaded.problem is not None:
            session.report(codes.project.SourceUnreadable(top, loaded.problem))
        self._ask(asked)
        for names in self.names.values():
            start = Location(names.scope.source, 0, 0)
            session.guarded(start, partial(session.once, of_files.check_version, names))
            session.guarded(start, partial(session.once, of_files.check_imports, names))
        session.guarded(top, partial(session.once, _check_cycles, self))
        for names in here:
            check_declarations(session, names)
        session.sweep()
        for names in here:
            session.guarded(top, partial(of_files.check_unused, session, names))
        if session.reads.steps > MAX_STEPS:
            session.report(codes.project.CheckTooLong(top, MAX_STEPS))
        looked = OF_BESIDES if besides is not None else frozenset[str]()
        diagnostics = self._settled(here, looked)
        if besides is not None and session.probe and not has_errors(diagnostics):
            before = len(session.findings) + len(session.crashes)
            session.guarded(top, partial(besides, session, self.lowered))
            if len(session.findings) + len(session.crashes) > before:
                diagnostics = self._settled(here, looked)
        session.reads.steps = 0  # of this round; what asks later begins anew
        return diagnostics

    def lowered(self) -> ir.Project:
        """The IR of the project, which has no errors."""
        return lower(self.session, [names.scope for names in self.names.values()])

    @property
    def declared(self) -> list[Symbol]:
        """Every symbol, those inside declarations included."""
        own = [unit.symbol for names in self.names.values() for unit in names.units]
        return [symbol for symbol in own if symbol is not None] + self.session.declared

    @property
    def uses(self) -> Sequence[Use]:
        return self.session.uses

    def _ask(self, offset: int | None) -> None:
        """Have a journal kept of the declaration around an offset, if that is going to be checked."""
        if offset is None:
            return
        names = self.names[self.loaded.main.source.path]
        at = bisect.bisect_right(names.blocks, offset, key=lambda block: block.start) - 1
        symbol = names.units[at].symbol if at >= 0 else None
        if symbol is not None and symbol.kind != "import" and id(symbol) not in self.session.of:
            self.session.asked = symbol if names.scope.symbols.has(symbol) else None

    def _settled(self, here: Collection[FileNames], looked: Collection[str]) -> list[Diagnostic]:
        """The findings, each once, without those that the author allows, at the levels that the project sets. `looked` has
        the codes of the caller's own checks (`besides`) that ran."""
        session = self.session
        if self.settings is None:
            self.settings = read_settings(session.root, self.sources.texts.get(session.root / SETTINGS))
        diagnostics = without_echoes(_told((session.apart, *session.reporting)))
        if len(here) < len(self.names):
            away = {id(names.scope.source) for names in self.names.values()}
            away -= {id(names.scope.source) for names in here}
            diagnostics = [one for one in diagnostics if id(one.primary.location.source) not in away]
        # After an error some checks are left out; without the data, every check of rows is.
        complete = session.probe and not (has_errors(diagnostics) or session.crashes or session.unseen)
        for names in here:
            diagnostics = without_allowed(
                names.scope.source,
                names.file.tree,
                diagnostics,
                complete=complete,
                unlooked=OF_BESIDES.difference(looked),
            )
        found = self.settings.applied(diagnostics) + [problem.told() for problem in self.settings.problems]
        return in_order(found + [crash.finding.told() for crash in session.crashes])


def _check_cycles(session: Session, checking: ProjectCheck) -> bool:
    of_files.check_cycles(session, checking.loaded, checking.names)
    return True


def _told(results: Iterable[DeclarationResult]) -> Iterable[tuple[Finding, Diagnostic]]:
    """Every finding, in words. These are kept, but for a finding that looked through the whole text for them."""
    for result in results:
        if result.told is None or len(result.told) != len(result.findings):
            result.told = list[Diagnostic | None]([None] * len(result.findings))
        known = result.told
        for place, finding in enumerate(result.findings):
            told = known[place]
            if told is None:
                source = finding.where.source
                searches = source.searches
                told = finding.told()
                if source.searches == searches:
                    known[place] = told
            yield finding, told
