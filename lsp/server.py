"""The language server: wiring only.

Text synchronisation is synchronous and cheap. Every request handler is a coroutine that first
yields, so that the edits and cancellations already waiting are read before work starts on an old
version. What is answered stands in `requests`; nothing here imports a user's
Python, opens a socket or writes a file, and no message box is ever shown: what goes wrong goes to
the log, which is standard error.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from importlib.metadata import version
from inspect import isawaitable
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified
from pygls.lsp.server import LanguageServer

from dspec.compiler.diagnostics.record import Diagnostic

from .checks import BREATH, Checks
from .client import Client, client_of
from .convert import to_diagnostic
from .documents import Document, Documents
from .progress import shown
from .protocol import Protocol
from .requests.base import EditorFeature, EditorRequest, Feature, WorkspaceFeature, WorkspaceRequest
from .requests.table import FEATURES
from .text import ENCODINGS
from .workspace import Workspace

logger = logging.getLogger(__name__)


class Server(LanguageServer):
    """Open documents and their checks. `exit_code` is what the process ends with."""

    def __init__(self) -> None:
        super().__init__("dspc", version("dspc"), protocol_cls=Protocol)  # type: ignore[misc]
        self.documents = Documents()
        self.checks = Checks(self.documents, self.publish, self.clear, self.told, self.showing)
        self.client = Client()
        self.view = Workspace(self.documents)
        self._published: dict[str, tuple[Document, list[types.Diagnostic]]] = {}
        """What was found in each document, where it is not pushed."""
        self.exit_code = 1

    def publish(self, document: Document, found: list[Diagnostic]) -> None:
        converted = [to_diagnostic(diagnostic, document.text, document.uri) for diagnostic in found]
        if self.client.pulls and document.version is not None and not document.has_settings:
            before, self._published[document.uri] = self._published.get(document.uri), (document, converted)
            # After an edit the editor asks by itself; only what changes without one is told of.
            if before is not None and before[0] is document and before[1] != converted:
                self._refresh("diagnostics")
            return
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(document.uri, converted, document.version)
        )

    def told(self) -> None:
        """More is known than the text says: what shows it is to be asked for again."""
        for what in ("inlay_hint", "code_lens"):
            self._refresh(what)

    def _refresh(self, what: str) -> None:
        if what not in self.client.refreshes:
            return
        send = {
            "diagnostics": self.workspace_diagnostic_refresh,
            "inlay_hint": self.workspace_inlay_hint_refresh,
            "code_lens": self.workspace_code_lens_refresh,
        }[what]
        send(None)

    def showing(self, title: str, cancel: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Work that the editor shows where it can, and that may be cancelled there."""
        return shown(self.work_done_progress, title, cancel) if self.client.progress else nullcontext()

    def clear(self, uri: str) -> None:
        if self._published.pop(uri, None) is not None:
            return
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def stop(self, exit_code: int) -> None:
        """End the loop that reads messages."""
        self.exit_code = exit_code
        if self._stop_event is not None:
            self._stop_event.set()

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:  # type: ignore[override]
        logger.error("%s: %s", source.__name__, error)


def make_server() -> Server:
    server = Server()

    def initialize(params: types.InitializeParams) -> None:
        agreed = str(types.PositionEncodingKind(server.workspace.position_encoding).value)
        server.documents.encoding = next(known for known in ENCODINGS if known == agreed)
        server.client = client_of(params)
        for feature in FEATURES.values():
            if not feature.offered(server.client):
                features: object = server.protocol.fm.features  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                cast("dict[str, object]", features).pop(feature.method, None)
        # What was imported stays for good: collecting it again and again costs visible pauses.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        server.checks.schedule_all()

    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    for feature in FEATURES.values():
        server.feature(feature.method, feature.options)(_answering(server, feature))
    return server


def _answering(server: Server, feature: Feature) -> Callable[[Any], Awaitable[object]]:
    """The handler of one request."""

    async def about_a_document(params: Any) -> object:
        document = server.documents.get(_uri_of(params))
        await asyncio.sleep(BREATH)
        assert isinstance(feature, EditorFeature)
        if document is None or document.has_settings:
            return feature.nothing
        _still(server, document)
        analysis = server.checks.analysis(document)
        facts, find = server.checks.facts(document), partial(server.checks.found, document)
        asked = EditorRequest(params, server.view, server.client, document, analysis, facts, find)
        answer = feature.answer(asked)
        if isawaitable(answer):
            answer = await answer
            _still(server, document)
        return answer

    async def about_the_project(params: Any) -> object:
        await asyncio.sleep(BREATH)
        assert isinstance(feature, WorkspaceFeature)
        answer = feature.answer(WorkspaceRequest(params, server.view, server.client))
        return await answer if isawaitable(answer) else answer

    return about_a_document if isinstance(feature, EditorFeature) else about_the_project


def _still(server: Server, document: Document) -> None:
    """Refuses to answer about a text that is no longer there."""
    if server.documents.get(document.uri) is not document:
        raise JsonRpcContentModified("the text changed meanwhile")


def _uri_of(params: Any) -> str:
    """The document that a request is about: it is named, or an item of an earlier answer names it."""
    named = getattr(params, "text_document", None) or getattr(params, "item", None)
    return named.uri if named is not None else ""


def serve() -> None:
    """Serve over standard input and output until the client says goodbye or hangs up.

    Ends the process: with 0 after `shutdown` and `exit`, otherwise with 1.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    output = sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print would break the conversation
    server = make_server()
    try:
        server.start_io(sys.stdin.buffer, output)
    finally:
        server.checks.close()
    sys.exit(server.exit_code)
