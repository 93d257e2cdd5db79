"""pygls' protocol, with what it lacks put right.

Its documents split lines where editors do not, a request that comes after `shutdown`, before
`initialize` or with a body that makes no sense is never answered, and `exit` always ends with 0.
Nothing here knows what a document means.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from pygls.protocol.json_rpc import RPCMessage

    from .checks import Checks
    from .documents import Documents

logger = logging.getLogger(__name__)


class Host(Interface):
    """The server, as far as the protocol drives it."""

    documents: Documents
    checks: Checks

    def stop(self, exit_code: int) -> None: ...


class Protocol(LanguageServerProtocol):
    _server: Host  # type: ignore[assignment]

    def handle_message(self, message: RPCMessage) -> None:
        """Answers requests that cannot be served now; passes everything else on."""
        method, number = getattr(message, "method", None), getattr(message, "id", None)
        refusal: JsonRpcException | None = None
        if self._shutdown:
            refusal = JsonRpcInvalidRequest("the server was asked to shut down")
        elif self._workspace is None and method != types.INITIALIZE:
            refusal = JsonRpcServerNotInitialized("the first request must be `initialize`")
        elif method == types.INITIALIZE and self._workspace is not None:
            refusal = JsonRpcInvalidRequest("the server is initialized already")
        if refusal is None or method == types.EXIT:
            super().handle_message(message)
        elif method is not None and number is not None:
            self._send_response(number, error=refusal.to_response_error())
        else:
            logger.warning("ignored %s: %s", method, refusal.message)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A message from its JSON. A request with a body that makes no sense is answered with an error, and so is one with the
        name of a notification, which is obeyed all the same."""
        number, known = data.get("id"), types.METHOD_TO_TYPES.get(str(data.get("method")))
        if isinstance(number, int | str) and known is not None and not hasattr(known[0], "id"):
            error = JsonRpcInvalidRequest(f"{data['method']} is a notification")
            self._send_response(number, error=error.to_response_error())
        try:
            return super().structure_message(data)
        except (JsonRpcInvalidParams, JsonRpcInternalError):
            number, method = data.get("id"), data.get("method")
            if method is not None and isinstance(number, int | str):
                error = JsonRpcInvalidParams(f"the parameters of {str(method)[:80]} make no sense")
                self._send_response(number, error=error.to_response_error())
            raise

    def _send_data(self, data: Any) -> None:
        """Writes a message. An answer that cannot be written, say one that nests too deep, becomes an error, so that whoever
        asked does not wait for good."""
        if not data or self.writer is None:
            return
        try:
            body = json.dumps(data, default=self._serialize_message).encode()
        except (RecursionError, TypeError, ValueError) as error:
            logger.error("a message cannot be written: %s", error)
            if (number := getattr(data, "id", None)) is not None and hasattr(data, "result"):
                refusal = JsonRpcInternalError("the answer cannot be written")
                self._send_response(number, error=refusal.to_response_error())
            return
        try:
            self.writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        except (OSError, ValueError) as error:  # nobody reads any more
            logger.info("nothing more can be written: %s", error)
            self._server.stop(1)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]
        """Ends the loop that reads; the exit code says whether `shutdown` came first."""
        self._server.stop(0 if self._shutdown else 1)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:  # type: ignore[override]
        self._server.documents.open(params.text_document)
        self._server.checks.schedule(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:  # type: ignore[override]
        if self._server.documents.change(params.text_document, params.content_changes) is None:
            logger.warning("ignored a change of %s, which is not open", params.text_document.uri)
        else:
            self._server.checks.schedule(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:  # type: ignore[override]
        closed = self._server.documents.get(params.text_document.uri)
        if closed is not None:
            self._server.documents.close(closed.uri)
            self._server.checks.drop(closed)
