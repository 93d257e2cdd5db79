"""textDocument/moniker: the word at the cursor, as a name for it. It would stand in `lsp/requests/`."""

from __future__ import annotations

import re

from lsprotocol import types

from .base import EditorFeature, EditorRequest


def _answer(asked: EditorRequest) -> list[types.Moniker]:
    words = re.finditer(r"\w+", asked.text.content)
    word = next((word[0] for word in words if word.start() <= asked.offset <= word.end()), None)
    return [] if word is None else [types.Moniker("dspec", word, types.UniquenessLevel.Document)]


FEATURES = (EditorFeature(types.TEXT_DOCUMENT_MONIKER, _answer),)
