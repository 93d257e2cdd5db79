"""The grammar room: text ⇄ tree, and the formatter. Knows nothing of what a name means."""

from __future__ import annotations

from .format import format_text
from .parser import parse
from .tokens import Token, tokenize

__all__ = ["Token", "format_text", "parse", "tokenize"]
