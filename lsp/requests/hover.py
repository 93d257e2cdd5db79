"""textDocument/hover: what the word at the cursor is."""

from __future__ import annotations

from lsprotocol import types

from ..convert import to_range
from .base import EditorFeature, EditorRequest


def _answer(asked: EditorRequest) -> types.Hover | None:
    from ..features.hover import hover
    from ..features.markdown import without_markup

    found = hover(asked.analysis, asked.offset, asked.facts)
    if found is None:
        return None
    kind = types.MarkupKind.Markdown if asked.client.markdown else types.MarkupKind.PlainText
    text = found.text if asked.client.markdown else without_markup(found.text)
    return types.Hover(types.MarkupContent(kind, text), to_range(asked.text, found.start, found.end))


FEATURES = (EditorFeature(types.TEXT_DOCUMENT_HOVER, _answer),)
