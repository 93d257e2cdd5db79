"""What a request is: a record of its name, of what the server says it can do there, and of its answer.

An answer is a function of a document and its analysis. It computes with `features`, which know nothing of the
protocol, and gives the protocol's types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis

from ..text import ClientPosition, Text


class EditorRequest(Struct, frozen=True):
    """A request about a document: its parameters as the protocol has them, the text and what is known of it."""

    params: Any
    text: Text
    analysis: Analysis

    @property
    def offset(self) -> int:
        """Where it was asked, for parameters that have a position."""
        return self.text.offset(ClientPosition(self.params.position.line, self.params.position.character))


class EditorFeature(Struct, frozen=True):
    """The facts of one request about a document that is open."""

    method: str
    answer: Callable[[EditorRequest], object]
    options: object | None = None
    """What the editor is told of it beforehand."""
