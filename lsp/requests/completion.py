"""textDocument/completion: what may be written at the cursor."""

from __future__ import annotations

from lsprotocol import types

from ..convert import to_completions
from ..features.completion import complete
from .base import EditorFeature, EditorRequest


def _answer(asked: EditorRequest) -> types.CompletionList:
    offset = asked.offset
    return to_completions(complete(asked.analysis, offset), asked.text, offset)


FEATURES = (
    EditorFeature(
        types.TEXT_DOCUMENT_COMPLETION,
        _answer,
        types.CompletionOptions(trigger_characters=[".", "=", "(", ",", "|", ":", '"']),
    ),
)
