"""The embedded model: an in-process, offline, deterministic in-context learner. Not a language model."""

from .transport import EmbeddedTransport

__all__ = ["EmbeddedTransport"]
