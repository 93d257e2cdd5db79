"""textDocument/formatting, rangeFormatting and onTypeFormatting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.formatting import LineChange


def _whole(asked: EditorRequest) -> list[types.TextEdit]:
    from ..features.formatting import format_whole

    return _edits(asked, format_whole(asked.text.content))


def _range(asked: EditorRequest) -> list[types.TextEdit]:
    from ..features.formatting import format_range

    return _edits(asked, format_range(asked.analysis.tree, *asked.span(asked.params.range)))


def _on_type(asked: EditorRequest) -> list[types.TextEdit]:
    from ..features.formatting import format_closed, indent_line

    act = format_closed if asked.params.ch == "}" else indent_line
    return _edits(asked, act(asked.analysis.tree, asked.offset))


def _edits(asked: EditorRequest, found: list[LineChange]) -> list[types.TextEdit]:
    return [types.TextEdit(to_range(asked.text, one.start, one.end), one.text) for one in found]


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_FORMATTING, _whole),
    EditorFeature(types.TEXT_DOCUMENT_RANGE_FORMATTING, _range),
    EditorFeature(
        types.TEXT_DOCUMENT_ON_TYPE_FORMATTING, _on_type, types.DocumentOnTypeFormattingOptions("}", ["\n"])
    ),
)
