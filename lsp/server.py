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
from importlib.metadata import version
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified
from pygls.lsp.server import LanguageServer

from dspec.compiler.diagnostics.record import Diagnostic

from .checks import BREATH, Checks
from .convert import to_diagnostic
from .documents import Document, Documents
from .protocol import Protocol
from .requests.base import EditorFeature, EditorRequest
from .requests.table import FEATURES
from .text import ENCODINGS

logger = logging.getLogger(__name__)


class Server(LanguageServer):
    """Open documents and their checks. `exit_code` is what the process ends with."""

    def __init__(self) -> None:
        super().__init__("dspc", version("dspc"), protocol_cls=Protocol)  # type: ignore[misc]
        self.documents = Documents()
        self.checks = Checks(self.documents, self.publish, self.clear)
        self.exit_code = 1

    def publish(self, document: Document, found: list[Diagnostic]) -> None:
        converted = [to_diagnostic(diagnostic, document.text, document.uri) for diagnostic in found]
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(document.uri, converted, document.version)
        )

    def clear(self, uri: str) -> None:
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
        # What was imported stays for good: collecting it again and again costs visible pauses.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        server.checks.refresh()

    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    for feature in FEATURES.values():
        server.feature(feature.method, feature.options)(_answering(server, feature))
    return server


def _answering(server: Server, feature: EditorFeature) -> Callable[[Any], Awaitable[object]]:
    """The handler of one request about a document."""

    async def handler(params: Any) -> object:
        document = server.documents.get(params.text_document.uri)
        await asyncio.sleep(BREATH)
        if document is None or document.has_settings:
            return None
        if server.documents.get(document.uri) is not document:
            raise JsonRpcContentModified("the text changed meanwhile")
        return feature.answer(EditorRequest(params, document.text, server.checks.analysis(document)))

    return handler


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
