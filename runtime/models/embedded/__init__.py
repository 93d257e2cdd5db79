"""The embedded model: an in-process, offline, deterministic in-context learner. Not a language model.

`features` serves other parts of the runtime, so the learner itself is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .transport import EmbeddedTransport

__all__ = ["EmbeddedTransport"]


def __getattr__(name: str) -> object:
    if name == "EmbeddedTransport":
        from .transport import EmbeddedTransport

        return EmbeddedTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
