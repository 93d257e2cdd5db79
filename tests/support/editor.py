"""An editor within the test's own process: it asks the server's handlers, with the protocol's JSON on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from dspec.lsp.server import make_server


class Editor:
    """Opens and changes documents, and asks. What the server asks of the editor stands in `refreshed`."""

    def __init__(
        self,
        can: Mapping[str, Any] = MappingProxyType({}),
        *,
        encodings: Sequence[str] = (),
        options: object = None,
    ) -> None:
        self.server = make_server()
        self.refreshed: list[str] = []
        self.published: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._converter = self.server.protocol._converter
        self.server._refresh = self._note  # type: ignore[method-assign]
        self.server.text_document_publish_diagnostics = self._publish  # type: ignore[method-assign]
        general = {"positionEncodings": list(encodings)} if encodings else {}
        asked = {
            "processId": None,
            "rootUri": None,
            "capabilities": {"general": general, **can},
            "initializationOptions": options,
        }
        self.told = self._initialize(self._converter.structure(asked, types.InitializeParams))

    def _initialize(self, params: types.InitializeParams) -> dict[str, Any]:
        steps = type(self.server.protocol).lsp_initialize(self.server.protocol, params)
        while True:
            try:
                handler, arguments, _ = next(steps)
                handler(*arguments)
            except StopIteration as done:
                return self._converter.unstructure(done.value)

    def _note(self, what: str) -> None:
        if what in self.server.client.refreshes:
            self.refreshed.append(what)

    def _publish(self, params: types.PublishDiagnosticsParams) -> None:
        self.published.append(self._converter.unstructure(params))

    def open(self, uri: str, text: str, version: int = 1) -> None:
        self.server.documents.open(types.TextDocumentItem(uri, types.LanguageKind.Python, version, text))
        self._schedule(uri)

    def _schedule(self, uri: str) -> None:
        async def schedule() -> None:
            self.server.checks.schedule(uri)

        self._loop.run_until_complete(schedule())

    def change(self, uri: str, version: int, change: dict[str, Any]) -> None:
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}
        found = self._converter.structure(params, types.DidChangeTextDocumentParams)
        assert self.server.documents.change(found.text_document, found.content_changes) is not None
        self._schedule(uri)

    def check(self) -> None:
        """Let all documents be checked, with what is on disk, and their data be read."""

        async def settle() -> None:
            self.server.checks.refresh()
            while self.server.checks.at_work:
                await asyncio.sleep(0.01)

        self._loop.run_until_complete(settle())

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a request. Raises JsonRpcException for one that is refused."""
        kind = types.METHOD_TO_TYPES[method][2]
        handler = self.server.protocol.fm.features[method]
        answer = self._loop.run_until_complete(handler(self._converter.structure(params, kind)))
        return self._converter.unstructure(answer)

    def refused(self, method: str, params: dict[str, Any]) -> JsonRpcException:
        try:
            found = self.ask(method, params)
        except JsonRpcException as error:
            return error
        raise AssertionError(f"{method} was answered: {found}")

    def close(self) -> None:
        self.server.checks.close()
        self._loop.close()
