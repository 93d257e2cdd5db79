"""What folds, what a selection grows to, and what links to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.brackets import Fold


def _folding(asked: EditorRequest) -> list[types.FoldingRange]:
    from ..features.brackets import folds

    found = (_fold(asked, one) for one in folds(asked.analysis.tree))
    return [one for one in found if one is not None]


def _fold(asked: EditorRequest, one: Fold) -> types.FoldingRange | None:
    first, last = asked.text.place(one.start).line, asked.text.place(one.end).line
    if not one.kind and asked.text.content[one.end : one.end + 1] in ("}", ")", "]"):
        last -= 1
    if last <= first:
        return None
    kinds = {"comment": types.FoldingRangeKind.Comment, "imports": types.FoldingRangeKind.Imports}
    return types.FoldingRange(first, last, kind=kinds.get(one.kind))


def _selection(asked: EditorRequest) -> list[types.SelectionRange]:
    return [_grown(asked, asked.at(position)) for position in asked.params.positions]


def _grown(asked: EditorRequest, offset: int) -> types.SelectionRange:
    from ..features.brackets import growing

    found: types.SelectionRange | None = None
    for start, end in reversed(growing(asked.analysis.tree, offset)):
        found = types.SelectionRange(to_range(asked.text, start, end), found)
    assert found is not None, "the whole file is always among them"
    return found


def _links(asked: EditorRequest) -> list[types.DocumentLink]:
    from ..features.links import links

    return [
        types.DocumentLink(
            to_range(asked.text, one.start, one.end),
            f"{one.target.source.path.as_uri()}{_line(one.target.source.text, one.target.start)}",
            one.tooltip,
        )
        for one in links(asked.analysis)
    ]


def _line(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"#L{line}" if line > 1 else ""


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_FOLDING_RANGE, _folding),
    EditorFeature(types.TEXT_DOCUMENT_SELECTION_RANGE, _selection),
    EditorFeature(types.TEXT_DOCUMENT_DOCUMENT_LINK, _links),
)
