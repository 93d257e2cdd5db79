"""Where a name is declared, what its type is, and where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from ..work import Work
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.names import Mention


def _definition(asked: EditorRequest) -> list[types.Location]:
    from ..features.names import definitions

    return [asked.workspace.locate(one) for one in definitions(asked.analysis, asked.offset)]


def _type_definition(asked: EditorRequest) -> list[types.Location]:
    from ..features.names import type_definitions

    return [asked.workspace.locate(one) for one in type_definitions(asked.analysis, asked.offset)]


def _references(asked: EditorRequest) -> Work[list[types.Location]]:
    from ..features.names import mentioned, named_at, same

    found = named_at(asked.analysis, asked.offset)
    if found is None:
        return []
    everywhere = yield from mentioned(asked.workspace.seeing(asked.analysis), same(asked.analysis, found[1]))
    wanted = [one for one in everywhere if asked.params.context.include_declaration or not one.declares]
    return [asked.workspace.locate(one.location) for one in wanted]


def _highlight(asked: EditorRequest) -> list[types.DocumentHighlight]:
    from ..features.names import mentions, named_at, same

    found = named_at(asked.analysis, asked.offset)
    if found is None:
        return []

    def marked(one: Mention) -> types.DocumentHighlight:
        kind = types.DocumentHighlightKind.Write if one.writes else types.DocumentHighlightKind.Read
        return types.DocumentHighlight(to_range(asked.text, one.location.start, one.location.end), kind)

    here = mentions([asked.analysis], same(asked.analysis, found[1]))
    return [marked(one) for one in here if one.location.source is asked.analysis.source]


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_DEFINITION, _definition),
    EditorFeature(types.TEXT_DOCUMENT_TYPE_DEFINITION, _type_definition),
    EditorFeature(types.TEXT_DOCUMENT_REFERENCES, _references, title="Looking for references"),
    EditorFeature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, _highlight),
)
