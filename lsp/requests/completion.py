"""textDocument/completion: what may be written at the cursor; and what is told of one of the offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import KINDS, to_range
from .base import EditorFeature, EditorRequest, WorkspaceFeature, WorkspaceRequest
from .kept import KeptAnswers

if TYPE_CHECKING:
    from ..features.offers import Offer

_kept: KeptAnswers[tuple[Offer, ...]] = KeptAnswers(8)
"""Answers of which an editor may ask for the docs."""


def _answer(asked: EditorRequest) -> types.CompletionList:
    """In our order, whatever the client's taste."""
    from ..features.completion import complete

    offset = asked.offset
    found = complete(asked.analysis, offset, asked.found)
    place = to_range(asked.text, found.start, offset)
    name = _named(found.suggestions) if asked.client.resolves_docs else ""
    items = [_item(asked, one, place, number, name) for number, one in enumerate(found.suggestions)]
    # What leads on to more is asked about again as it is typed.
    partial = any(one.kind == "folder" for one in found.suggestions)
    return types.CompletionList(is_incomplete=partial, items=items)


def _item(
    asked: EditorRequest, one: Offer, place: types.Range, number: int, name: str
) -> types.CompletionItem:
    marked = bool(one.snippet) and asked.client.snippets
    text = one.snippet if marked else one.insert or one.label
    return types.CompletionItem(
        label=one.label,
        kind=KINDS[one.kind],
        detail=one.detail or None,
        documentation=None if name else _doc(one, markdown=asked.client.documents_in_markdown),
        text_edit=types.TextEdit(place, text),
        insert_text_format=types.InsertTextFormat.Snippet if marked else None,
        sort_text=f"{number:05}",
        data=[name, number, asked.client.documents_in_markdown] if name and one.doc else None,
    )


def _doc(one: Offer, *, markdown: bool) -> str | types.MarkupContent | None:
    if not one.doc:
        return None
    return types.MarkupContent(types.MarkupKind.Markdown, one.doc) if markdown else one.doc


def _named(offers: tuple[Offer, ...]) -> str:
    return _kept.keep(offers, "\n".join(one.label + one.doc for one in offers).encode())


def _resolve(asked: WorkspaceRequest) -> types.CompletionItem:
    item: types.CompletionItem = asked.params
    match item.data:
        case [str() as name, int() as number, markdown] if number < len(offers := _kept.get(name) or ()):
            item.documentation = _doc(offers[number], markdown=bool(markdown))
        case _:
            pass
    return item


FEATURES = (
    EditorFeature(
        types.TEXT_DOCUMENT_COMPLETION,
        _answer,
        types.CompletionOptions(
            trigger_characters=[".", "=", "(", ",", "|", ":", '"', "/"], resolve_provider=True
        ),
    ),
    WorkspaceFeature(types.COMPLETION_ITEM_RESOLVE, _resolve),
)
