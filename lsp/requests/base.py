"""What a request is: a record of its name, of what the server says it can do there, and of its answer.

An answer is a function of a document and its analysis, or of the project alone. It computes with `features`, which
know nothing of the protocol, and gives the protocol's types. It is made at once, since an edit changes what the analysis
knows in place; or in pieces (`Work`), where it may take long: then it is given up when a document changes, or somebody
cancels it. `features` bring the compiler along, so an answer imports them when it is first asked for: an editor is told
what the server can do before that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from msgspec import Struct

from ..client import Client
from ..text import ClientPosition, Text

if TYPE_CHECKING:
    from dspec.compiler.check.analysis import Analysis
    from dspec.compiler.diagnostics.record import Diagnostic

    from ..documents import Document
    from ..features.facts import DataFacts
    from ..workspace import Workspace


class WorkspaceRequest(Struct, frozen=True):
    """A request about the project, or about what an earlier answer gave: its parameters as the protocol has them."""

    params: Any
    workspace: Workspace
    client: Client


class EditorRequest(WorkspaceRequest, frozen=True):
    """A request about a document: the text and what is known of it, too."""

    document: Document
    analysis: Analysis
    facts: DataFacts
    """What the data told when it was last read."""
    find: Callable[[], Sequence[Diagnostic]] = tuple

    @property
    def found(self) -> Sequence[Diagnostic]:
        """What there is to say of the text, with what the data told."""
        return self.find()

    @property
    def text(self) -> Text:
        return self.document.text

    @property
    def offset(self) -> int:
        """Where it was asked, for parameters that have a position."""
        return self.at(self.params.position)

    def at(self, position: types.Position) -> int:
        return self.text.offset(ClientPosition(position.line, position.character))

    def span(self, place: types.Range) -> tuple[int, int]:
        return self.at(place.start), self.at(place.end)


class EditorFeature(Struct, frozen=True):
    """The facts of one request about a document that is open."""

    method: str
    answer: Callable[[EditorRequest], object]
    options: object | None = None
    """What the editor is told of it beforehand."""
    title: str = ""
    """What the editor shows of it where it takes long; only work in pieces does."""
    offered: Callable[[Client], bool] = lambda client: True
    """Whether an editor that can do this much is told of it."""
    nothing: object = None
    """The answer where the document is not open, or is no program."""


class WorkspaceFeature(Struct, frozen=True):
    """The facts of one request that is about no document that is open."""

    method: str
    answer: Callable[[WorkspaceRequest], object]
    options: object | None = None
    title: str = ""
    offered: Callable[[Client], bool] = lambda client: True


Feature = EditorFeature | WorkspaceFeature
