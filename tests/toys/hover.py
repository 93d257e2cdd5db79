"""textDocument/hover: the word at the cursor, told how long it is. It would stand in `lsp/requests/`."""

from __future__ import annotations

import re

from lsprotocol import types

from .base import EditorFeature, EditorRequest


def _answer(asked: EditorRequest) -> types.Hover | None:
    words = re.finditer(r"\w+", asked.text.content)
    word = next((word[0] for word in words if word.start() <= asked.offset <= word.end()), None)
    return None if word is None else types.Hover(f"{word} has {len(word)} letters")


FEATURE = EditorFeature(method=types.TEXT_DOCUMENT_HOVER, answer=_answer)
