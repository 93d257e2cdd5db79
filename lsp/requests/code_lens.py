"""textDocument/codeLens: what the editor can run of a file. The server runs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.lenses import Lens


def _answer(asked: EditorRequest) -> list[types.CodeLens]:
    from ..features.lenses import lenses

    return [_lens(asked, one) for one in lenses(asked.analysis, asked.facts, asked.client.commands)]


def _lens(asked: EditorRequest, one: Lens) -> types.CodeLens:
    arguments = [asked.document.uri, *([one.name] if one.name else [])] if one.command else None
    command = types.Command(one.title, one.command, arguments=arguments)
    return types.CodeLens(to_range(asked.text, one.start, one.end), command)


FEATURES = (EditorFeature(types.TEXT_DOCUMENT_CODE_LENS, _answer),)
