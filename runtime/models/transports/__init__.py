"""Ways to reach a model. `open_transport` chooses one; nothing heavy is imported before that."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...errors import ConfigurationError
from ..endpoints import Endpoint, Kind
from ..protocol import Transport

Mode = Literal["auto", "lean", "litellm"]


def choose(endpoint: Endpoint, mode: Mode) -> Kind:
    """The kind of transport for an endpoint. Raises ConfigurationError when `mode` cannot reach it."""
    if endpoint.kind in ("embedded", "local") or mode == "auto":
        return endpoint.kind
    if mode == "lean" and endpoint.kind != "lean":
        raise ConfigurationError(
            f"the lean transport does not speak to {endpoint.provider or 'this provider'}",
            help='use transport "auto" or "litellm"',
        )
    return mode


def open_batches(endpoint: Endpoint, folder: Path | None) -> Transport:
    """Batches of the endpoint, whose records are kept in `folder`. It takes seconds to import LiteLLM. Raises ConfigurationError
    where nothing is kept."""
    if folder is None:
        raise ConfigurationError(
            "answers of a batch come hours later, and would be lost with this process",
            help="give the engine a ledger",
        )
    from .batched import BatchTransport

    return BatchTransport(endpoint, folder)


def open_transport(endpoint: Endpoint, kind: Kind) -> Transport:
    """A transport to `endpoint`. The first LiteLLM one in a process takes seconds to import it."""
    match kind:
        case "embedded":
            from ..embedded import EmbeddedTransport

            return EmbeddedTransport()
        case "local":
            from ..local.transport import LocalTransport

            return LocalTransport()
        case "lean":
            from .lean import LeanTransport

            return LeanTransport(endpoint)
        case "litellm":
            from .litellm import LiteLLMTransport

            return LiteLLMTransport(endpoint)
