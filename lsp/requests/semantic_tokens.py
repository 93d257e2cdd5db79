"""textDocument/semanticTokens: whole, for a range, and as what changed since an earlier answer."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from lsprotocol import types

from ..features.token_types import MODIFIERS, TOKEN_TYPES
from ..text import Text
from .base import EditorFeature, EditorRequest
from .kept import KeptAnswers

if TYPE_CHECKING:
    from ..features.colours import Coloured

LEGEND = types.SemanticTokensLegend(list(TOKEN_TYPES), list(MODIFIERS))
_TYPES = {name: number for number, name in enumerate(TOKEN_TYPES)}
_BITS = {name: 1 << number for number, name in enumerate(MODIFIERS)}
_kept = KeptAnswers[list[int]](32)
"""Answers that an editor may ask about what changed since."""


def _numbers(found: list[Coloured], text: Text) -> list[int]:
    """Five numbers for each token, line and column as differences."""
    numbers: list[int] = []
    line = column = 0
    for one in found:
        first, last = text.place(one.start), text.place(one.end)
        if last.line != first.line or last.column == first.column:
            continue
        numbers += (
            first.line - line,
            first.column - (column if first.line == line else 0),
            last.column - first.column,
            _TYPES[one.type],
            sum(_BITS[name] for name in one.modifiers),
        )
        line, column = first
    return numbers


def _named(numbers: list[int]) -> str:
    return _kept.keep(numbers, array("q", numbers).tobytes())


def _full(asked: EditorRequest) -> types.SemanticTokens:
    from ..features.colours import colours

    numbers = _numbers(colours(asked.analysis), asked.text)
    return types.SemanticTokens(numbers, _named(numbers))


def _range(asked: EditorRequest) -> types.SemanticTokens:
    from ..features.colours import colours

    start, end = asked.span(asked.params.range)
    return types.SemanticTokens(_numbers(colours(asked.analysis, start, end), asked.text))


def _delta(asked: EditorRequest) -> types.SemanticTokens | types.SemanticTokensDelta:
    from ..features.colours import colours

    before = _kept.get(asked.params.previous_result_id)
    numbers = _numbers(colours(asked.analysis), asked.text)
    name = _named(numbers)
    if before is None:
        return types.SemanticTokens(numbers, name)
    return types.SemanticTokensDelta(edits(before, numbers), name)


def edits(before: list[int], after: list[int]) -> list[types.SemanticTokensEdit]:
    """What lies between the beginning and the end that both have."""
    shorter = min(len(before), len(after))
    head = next((place for place in range(shorter) if before[place] != after[place]), shorter)
    left = shorter - head
    tail = next((place for place in range(left) if before[-1 - place] != after[-1 - place]), left)
    if head == len(before) == len(after):
        return []
    return [types.SemanticTokensEdit(head, len(before) - head - tail, after[head : len(after) - tail])]


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _full, LEGEND),
    EditorFeature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA, _delta, LEGEND),
    EditorFeature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, _range, LEGEND),
)
