"""textDocument/inlayHint: types, rows and calls that the text does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.hints import Hint


def _answer(asked: EditorRequest) -> list[types.InlayHint]:
    from ..features.hints import hints

    start, end = asked.span(asked.params.range)
    return [_hint(asked, one) for one in hints(asked.analysis, asked.facts, start, end)]


def _hint(asked: EditorRequest, one: Hint) -> types.InlayHint:
    return types.InlayHint(
        to_range(asked.text, one.offset, one.offset).start,
        one.text,
        kind=types.InlayHintKind.Type if one.is_type else None,
        tooltip=one.tooltip or None,
        padding_left=not one.is_type,
    )


FEATURES = (EditorFeature(types.TEXT_DOCUMENT_INLAY_HINT, _answer),)
