"""The project as the editor sees it: each file as it is open there, else as it is on disk.

Only sources inside a project's root are read, links resolved, and no more than so many of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from lsprotocol import types
from msgspec import Struct

from dspec.compiler.check.analysis import Analysis, analyse, analysed, failed
from dspec.compiler.check.checking import ProjectCheck
from dspec.compiler.diagnostics.record import Diagnostic, Edit
from dspec.compiler.project.loading import Files, read_text, resolved
from dspec.compiler.project.source import Location, Source
from dspec.compiler.project.state import project_root
from dspec.grammar import parse

from .client import Client
from .documents import Document, Documents
from .features.outline import Outline, outline
from .text import Encoding, Text

MAX_SOURCES = 1_000
"""Sources of a project that are looked at."""
MAX_ENTRIES = 50_000
"""Files and folders of a project that are looked through for sources."""
_IMPORT = re.compile(r'^import[ \t]*"([^"\n\\]*)"', re.MULTILINE)


class _OnDisk(Struct, frozen=True):
    stamp: tuple[int, int]
    text: str


class Trial:
    """A source without its data, as the editor has it and all that it imports: kept checked while edits are tried in it."""

    def __init__(self, path: Path, texts: Mapping[Path, str]) -> None:
        self._path, self._texts = path, texts
        self._files = Files(texts)
        self._changed: set[Path] = set()
        self._checking: ProjectCheck | None = None

    def found(self, instead: Mapping[Path, str]) -> Sequence[Diagnostic]:
        """What is found with some texts `instead`."""
        for path in self._changed.difference(instead):
            if path in self._texts:
                self._files.edit(path, self._texts[path])
            else:
                self._files.release(path)
        for path, text in instead.items():
            self._files.edit(path, text)
        self._changed = set(instead)
        try:
            if self._checking is None:
                self._checking = ProjectCheck(self._path, self._files, probe=False, noting=True)
            return analysed(self._checking).diagnostics
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            self._checking = None
            return failed(self._path, instead.get(self._path, ""), error).diagnostics


class Workspace:
    """Reads the sources of the projects whose documents are open."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[Path, _OnDisk] = {}
        self._outlines: dict[Path, tuple[str, list[Outline]]] = {}
        self._last: Text | None = None

    @property
    def encoding(self) -> Encoding:
        """What the editor's columns count."""
        return self._documents.encoding

    # Files

    def document(self, path: Path) -> Document | None:
        """The open document of a file, whatever links lead to it; of several, the one edited last."""
        return next(reversed(self._documents.at(path)), None)

    def folders(self) -> list[Path]:
        """The roots of the projects of open documents."""
        return list(dict.fromkeys(project_root(one.path) for one in self._documents.all()))

    def sources(self, root: Path) -> list[Path]:
        """The `.dspec` files below a project's root, sorted; hidden folders and links to folders are left out."""
        return sorted(_below(root))

    def knows(self, path: Path) -> bool:
        """Whether a file is open, or a source of a project that is."""
        if self.document(path) is not None:
            return True
        return path.suffix == ".dspec" and any(path.is_relative_to(root) for root in self.folders())

    def text(self, path: Path, root: Path) -> str | None:
        """What a source holds: in the editor, else on disk; None where it cannot be read."""
        document = self.document(path)
        if document is not None:
            return document.text.content
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = status.st_mtime_ns, status.st_size
        known = self._known.get(path)
        if known is None or known.stamp != stamp:
            text = read_text(path, root)
            if not isinstance(text, str):
                return None
            known = self._known[path] = _OnDisk(stamp, text)
        return known.text

    # What is known of them

    def analysis(self, path: Path, instead: Mapping[Path, str] = MappingProxyType({})) -> Analysis:
        """A source checked without its data, as the editor has it and all that it imports; some texts `instead`."""
        texts = {one.path: one.text.content for one in self._documents.all()} | dict(instead)
        own = texts.pop(resolved(path), None)
        return analyse(path, text=own, probe=False, texts=texts)

    def trial(self, path: Path) -> Trial:
        """A source in which edits are tried."""
        return Trial(path, {one.path: one.text.content for one in self._documents.all()})

    def seeing(self, analysis: Analysis) -> Iterator[Analysis]:
        """The analysis, and those of all files that import its file, directly or through others.

        A file that another one of them imports is part of that one's analysis, and is not given by itself.
        """
        yield analysis
        root, path = analysis.session.root, analysis.source.path
        imports = {source: self._imports(source, root) for source in self.sources(root)}
        waiting = [path]
        importers: set[Path] = set()
        while waiting:
            target = waiting.pop()
            for source, named in imports.items():
                if target in named and source not in importers and source != path:
                    importers.add(source)
                    waiting.append(source)
        below = {source: imports[source] & importers for source in importers}
        # What nobody imports comes first; of files that import each other, the first in the alphabet.
        ordered = sorted(importers, key=lambda one: (any(one in named for named in below.values()), one))
        known = {symbol.scope.source.path for symbol in analysis.symbols.declared}
        yield from self.together(ordered, settled={path, *known})

    def together(
        self,
        paths: Iterable[Path],
        instead: Mapping[Path, str] = MappingProxyType({}),
        settled: Iterable[Path] = (),
    ) -> Iterator[Analysis]:
        """Sources checked without their data, as the editor has them; some texts `instead`. What is `settled`, and what an
        earlier one imports, is not looked through once more, nor given by itself."""
        files = Files({**{one.path: one.text.content for one in self._documents.all()}, **instead})
        done = set(settled)
        for path in paths:
            if path in done:
                continue
            try:
                checking = ProjectCheck(path, files, probe=False)
                found = analysed(checking, settled=done)
                done.update(checking.loaded.files)
            except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
                found = failed(path, files.texts.get(path, ""), error)
            yield found

    def _imports(self, source: Path, root: Path) -> set[Path]:
        """What a source imports, read from its lines alone: a file is not parsed to find out that it does not matter."""
        text = self.text(source, root) or ""
        return {Path(os.path.normpath(source.parent / found[1])) for found in _IMPORT.finditer(text)}

    # In the protocol's words

    def uri(self, path: Path) -> str:
        document = self.document(path)
        return document.uri if document is not None else path.as_uri()

    def locate(self, place: Location) -> types.Location:
        return types.Location(self.uri(place.source.path), self.range(place.source, place.start, place.end))

    def to_edit(self, edits: Iterable[Edit], client: Client) -> types.WorkspaceEdit:
        """Edits of several files, for the version of each that is open."""
        by_file: dict[Path, list[Edit]] = {}
        for edit in edits:
            by_file.setdefault(edit.location.source.path, []).append(edit)
        changes = {
            path: [
                types.TextEdit(
                    self.range(edit.location.source, edit.location.start, edit.location.end), edit.replacement
                )
                for edit in found
            ]
            for path, found in by_file.items()
        }
        if not client.versioned_edits:
            return types.WorkspaceEdit(changes={self.uri(path): found for path, found in changes.items()})
        return types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(self._versioned(path), found) for path, found in changes.items()
            ]
        )

    def _versioned(self, path: Path) -> types.OptionalVersionedTextDocumentIdentifier:
        document = self.document(path)
        return types.OptionalVersionedTextDocumentIdentifier(
            self.uri(path), document.version if document is not None else None
        )

    def text_of(self, source: Source) -> Text:
        """A source's text with its lines, which are found once for all places in it that are asked about one after the other."""
        if self._last is None or self._last.content is not source.text:
            self._last = Text(source.text, self._documents.encoding)
        return self._last

    def outline(self, path: Path, root: Path) -> tuple[str, list[Outline]] | None:
        """What a source holds, and its outline; None where it cannot be read."""
        text = self.text(path, root)
        if text is None:
            self._outlines.pop(path, None)
            return None
        known = self._outlines.get(path)
        if known is None or known[0] != text:
            known = self._outlines[path] = text, outline(parse(text))
        return known

    def range(self, source: Source, start: int, end: int) -> types.Range:
        text = self.text_of(source)
        first, last = text.place(start), text.place(end)
        return types.Range(types.Position(first.line, first.column), types.Position(last.line, last.column))


def _below(root: Path) -> Iterator[Path]:
    entries = found = 0
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        entries += len(folders) + len(names)
        for name in sorted(names):
            if name.endswith(".dspec"):
                found += 1
                yield Path(place, name)
        if entries > MAX_ENTRIES or found >= MAX_SOURCES:
            return
