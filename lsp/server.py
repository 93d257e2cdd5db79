"""The language server: wiring only.

Text synchronisation is synchronous and cheap. Every request handler is a coroutine that first
yields, so that the edits and cancellations already waiting are read before work starts on an old
version. What is answered stands in `requests`; nothing here imports a user's
Python, opens a socket or writes a file, and no message box is ever shown: what goes wrong goes to
the log, which is standard error.

An editor waits for the answer to `initialize`, which needs nothing of the compiler: what checks and answers is imported
after it, or with the first document.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcContentModified,
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcRequestCancelled,
)
from pygls.io_ import StdoutWriter
from pygls.lsp.server import LanguageServer

from .client import Client, client_of
from .convert import to_diagnostic
from .progress import BREATH, begin, shown
from .protocol import Protocol
from .requests.base import EditorFeature, EditorRequest, Feature, WorkspaceFeature, WorkspaceRequest
from .requests.table import FEATURES
from .stream import Readable, bodies
from .text import ENCODINGS, Encoding
from .work import Work

if TYPE_CHECKING:
    from dspec.compiler.diagnostics.record import Diagnostic

    from .checks import Checks
    from .documents import Document, Documents
    from .workspace import Workspace

logger = logging.getLogger(__name__)

STATUS = "dspc.status"
"""The command that says how the server is."""
ALIVE = 5.0
"""Seconds between two looks at whether the editor's process is still there."""
SETTLING = 0.1
"""Seconds in which changes of files on disk are gathered."""
PREPARED = (
    "pydantic",
    "dspec.runtime.schema.program",
    "dspec.compiler.ir",
    "dspec.compiler.check.analysis",
    "dspec.lsp.checks",
    "dspec.lsp.workspace",
    "dspec.lsp.features.completion",
    "dspec.lsp.features.hover",
    "dspec.lsp.features.colours",
    "dspec.lsp.features.actions",
)
"""What the first documents and requests need, in parts that take a moment each."""


class Server(LanguageServer):
    """Open documents and their checks. `exit_code` is what the process ends with."""

    def __init__(self) -> None:
        super().__init__("dspc", version("dspc"), protocol_cls=Protocol)  # type: ignore[misc]
        self.client = Client()
        self.encoding: Encoding = "utf-16"
        """What the columns of the editor count."""
        self._published: dict[str, tuple[Document, list[types.Diagnostic]]] = {}
        """What was found in each document, where it is not pushed."""
        self.exit_code = 1
        self.watching = False
        """Whether the editor tells of files that change on disk."""
        self._ended = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None

    @cached_property
    def documents(self) -> Documents:
        from .documents import Documents

        return Documents(self.encoding)

    @cached_property
    def checks(self) -> Checks:
        from .checks import Checks

        # What was imported stays for good: collecting it again and again costs visible pauses. What is checked from now on
        # must not stay with it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        return Checks(self.documents, self.publish, self.clear, self.told, self.showing)

    @cached_property
    def view(self) -> Workspace:
        from .workspace import Workspace

        return Workspace(self.documents)

    async def prepare(self) -> None:
        """Import what documents need, in parts between which messages are read."""
        for module in PREPARED:
            await asyncio.sleep(0)
            import_module(module)
        await asyncio.sleep(0)
        logger.info("ready: %s", self.checks.status())

    def close(self) -> None:
        """End whatever is at work."""
        if "checks" in vars(self):
            self.checks.close()

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
        """End the conversation."""
        self.exit_code = exit_code
        self._ended.set()

    async def converse(self, stream: Readable) -> None:
        """Serve until the stream ends or the client says goodbye. Messages are read in a thread, so that all that wait
        there are known before a check begins."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                for body in bodies(stream):
                    loop.call_soon_threadsafe(self._handle, body)
                loop.call_soon_threadsafe(self._ended.set)
            except (OSError, ValueError, RuntimeError) as error:  # the stream or the loop is closed
                logger.info("stopped reading: %s", error)

        threading.Thread(target=read, name="messages", daemon=True).start()
        await self._ended.wait()

    def _handle(self, body: bytes) -> None:
        if self._ended.is_set():
            return
        try:
            message: Any = self.protocol.structure_message(json.loads(body))
            self.protocol.handle_message(message)
        except Exception as error:  # noqa: BLE001 - no message may end the server
            self.report_server_error(error, JsonRpcException)

    async def watch_editor(self, process: int) -> None:
        """End when the editor's process has ended without a word."""
        while True:
            await asyncio.sleep(ALIVE)
            try:
                os.kill(process, 0)
            except ProcessLookupError:
                logger.warning("the editor is gone")
                self.stop(1)
                return
            except OSError:
                pass  # it is somebody else's, so it is there

    def files_changed(self) -> None:
        """Look again at what is on disk, once for all changes that come together."""
        if self._settling is None:

            def look() -> None:
                self._settling = None
                self.checks.refresh()

            self._settling = asyncio.get_running_loop().call_later(SETTLING, look)

    def status(self) -> dict[str, object]:
        """How the server is, for people who look for what is wrong."""
        return {
            "version": version("dspc"),
            "python": sys.version.split()[0],
            "process": os.getpid(),
            "watching": self.watching,
            "log": next(
                (
                    one.baseFilename
                    for one in logging.getLogger().handlers
                    if isinstance(one, logging.FileHandler)
                ),
                "",
            ),
            **self.checks.status(),
        }

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:  # type: ignore[override]
        logger.error("%s: %s", source.__name__, error)


def make_server() -> Server:
    server = Server()

    def initialize(params: types.InitializeParams) -> None:
        agreed = str(types.PositionEncodingKind(server.workspace.position_encoding).value)
        server.encoding = next(known for known in ENCODINGS if known == agreed)
        server.client = client_of(params)
        for feature in FEATURES.values():
            if not feature.offered(server.client):
                features: object = server.protocol.fm.features  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                cast("dict[str, object]", features).pop(feature.method, None)
        if params.process_id and sys.platform != "win32":
            begin(server.watch_editor(params.process_id))

    def initialized(params: types.InitializedParams) -> None:
        begin(server.prepare())
        workspace = server.protocol.client_capabilities.workspace
        watched = workspace.did_change_watched_files if workspace else None
        if watched is not None and watched.dynamic_registration:
            server.watching = True
            server.client_register_capability(types.RegistrationParams([_watchers()]))

    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        if not server.watching:
            server.files_changed()

    def did_change_files(params: types.DidChangeWatchedFilesParams) -> None:
        server.files_changed()

    def status(*_: object) -> dict[str, object]:
        return server.status()

    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_files)
    server.command(STATUS)(status)
    for feature in FEATURES.values():
        server.feature(feature.method, feature.options)(answering(server, feature))
    return server


def _watchers() -> types.Registration:
    """What the editor is asked to tell of: sources, settings, data, media and Python."""
    from dspec.compiler.data.media import ENDINGS as MEDIA_ENDINGS
    from dspec.compiler.data.sources.table import endings

    names = ",".join(sorted({"dspec", "toml", "py", *endings(), *MEDIA_ENDINGS}))
    watcher = types.FileSystemWatcher(f"**/*.{{{names}}}")
    options = types.DidChangeWatchedFilesRegistrationOptions([watcher])
    return types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)


def answering(server: Server, feature: Feature) -> Callable[[Any], Awaitable[object]]:
    """The handler of one request."""

    async def worked(work: Work[object]) -> object:
        """The result of work in pieces. It is given up when the text that it is about changes, and when it is cancelled."""
        cancelled = threading.Event()
        before = server.documents.edits
        async with server.showing(feature.title, cancelled.set):
            while True:
                try:
                    next(work)
                except StopIteration as done:
                    return done.value
                await asyncio.sleep(0)
                if cancelled.is_set():
                    raise JsonRpcRequestCancelled("it was cancelled")
                if server.documents.edits != before:
                    raise JsonRpcContentModified("the text changed meanwhile")

    async def about_a_document(params: Any) -> object:
        document = server.documents.get(_uri_of(params))
        await asyncio.sleep(BREATH)
        assert isinstance(feature, EditorFeature)
        if document is None or document.has_settings:
            return feature.nothing
        if server.documents.get(document.uri) is not document:
            raise JsonRpcContentModified("the text changed meanwhile")
        analysis = server.checks.analysis(document)
        facts, find = server.checks.facts(document), partial(server.checks.found, document)
        asked = EditorRequest(params, server.view, server.client, document, analysis, facts, find)
        answer = feature.answer(asked)
        return await worked(cast("Work[object]", answer)) if isinstance(answer, Generator) else answer

    async def about_the_project(params: Any) -> object:
        await asyncio.sleep(BREATH)
        assert isinstance(feature, WorkspaceFeature)
        answer = feature.answer(WorkspaceRequest(params, server.view, server.client))
        return await worked(cast("Work[object]", answer)) if isinstance(answer, Generator) else answer

    answer = about_a_document if isinstance(feature, EditorFeature) else about_the_project

    async def handler(params: Any) -> object:
        try:
            return await answer(params)
        except JsonRpcException:
            raise
        except Exception:  # the answer must not hold a traceback, which has paths of this machine
            logger.exception("dspc failed to answer %s", feature.method)
            raise JsonRpcInternalError(f"dspc failed to answer {feature.method}; its log says how") from None

    return handler


def _uri_of(params: Any) -> str:
    """The document that a request is about: it is named, or an item of an earlier answer names it."""
    named = getattr(params, "text_document", None) or getattr(params, "item", None)
    return named.uri if named is not None else ""


def serve(log_file: Path | None = None) -> None:
    """Serve over standard input and output until the client says goodbye or hangs up. What goes wrong is written to
    standard error, and to `log_file` with all that happens.

    Ends the process: with 0 after `shutdown` and `exit`, otherwise with 1.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if log_file is not None:
        handler = logging.FileHandler(log_file, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger("dspec").setLevel(logging.INFO)
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    output = sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print would break the conversation
    server = make_server()
    server.protocol.set_writer(StdoutWriter(output))
    try:
        asyncio.run(server.converse(sys.stdin.buffer))
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    sys.stderr.flush()
    os._exit(server.exit_code)  # the thread that reads may wait for input for good
