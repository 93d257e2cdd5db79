"""What one call of a model used, in tokens."""

from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    """True when the provider reported none and the counts are an estimate."""
