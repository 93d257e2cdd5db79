"""The documents that the editor has open: immutable versions, replaced on every change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from lsprotocol import types
from msgspec import Struct
from msgspec.structs import replace
from pygls.uris import to_fs_path

from dspec.compiler.diagnostics.settings import FILE as SETTINGS
from dspec.compiler.project.loading import resolved

from .text import ClientPosition, Encoding, Text


class Document(Struct, frozen=True):
    """`path` is the file's place, links followed: one file is one place, however it was opened."""

    uri: str
    path: Path
    version: int | None
    """None for a file that is not open: shown as it is on disk."""
    text: Text
    edited: int | None = None
    """Where the last change begins: the editor asks there next."""

    @property
    def has_settings(self) -> bool:
        """True for the project's settings, which are no program."""
        return self.path.name == SETTINGS


class Documents:
    """Open documents by URI, in the order of their last edits. An edit to a document that is not open is ignored: it is the
    client's slip."""

    def __init__(self, encoding: Encoding = "utf-16") -> None:
        self.encoding: Encoding = encoding
        self.edits = 0
        """Counts what was opened, changed and closed."""
        self._open: dict[str, Document] = {}

    def open(self, item: types.TextDocumentItem) -> Document:
        text = Text(_clean(item.text), self.encoding)
        document = Document(item.uri, self._path(item.uri), item.version, text)
        self._keep(document)
        return document

    def change(
        self,
        identifier: types.VersionedTextDocumentIdentifier,
        changes: Sequence[types.TextDocumentContentChangeEvent],
    ) -> Document | None:
        document = self._open.get(identifier.uri)
        if document is None:
            return None
        text, edited = document.text, None
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start = ClientPosition(change.range.start.line, change.range.start.character)
                end = ClientPosition(change.range.end.line, change.range.end.character)
                edited = text.offset(start)
                text = text.edited(start, end, _clean(change.text))
            else:
                text, edited = Text(_clean(change.text), self.encoding), None
        document = replace(document, version=identifier.version, text=text, edited=edited)
        self._keep(document)
        return document

    def _keep(self, document: Document) -> None:
        self.edits += 1
        self._open.pop(document.uri, None)
        self._open[document.uri] = document

    def close(self, uri: str) -> None:
        self.edits += 1
        self._open.pop(uri, None)

    def get(self, uri: str) -> Document | None:
        return self._open.get(uri)

    def all(self) -> tuple[Document, ...]:
        return tuple(self._open.values())

    def at(self, path: Path) -> tuple[Document, ...]:
        """The open documents of a file, the one edited last at the end: several where it was opened through links, too."""
        return tuple(one for one in self._open.values() if one.path == path)

    def _path(self, uri: str) -> Path:
        """Where the document lies; a name in the working directory for one that no file holds yet."""
        found = to_fs_path(uri)
        if found and "\0" not in found:
            return resolved(Path(found).absolute())
        taken = {one.path for other, one in self._open.items() if other != uri}
        names = chain(["untitled.dspec"], (f"untitled-{number}.dspec" for number in count(2)))
        places = (resolved(Path(name).absolute()) for name in names)
        return next(place for place in places if place not in taken)


_HALVES = re.compile("[\ud800-\udfff]")


def _clean(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can carry and no file can hold."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)
