"""Brackets and strings of a file, paired by its tokens: what folds, and what a selection grows to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from dspec.grammar import tokenize
from dspec.grammar.tokens import Token
from dspec.grammar.tree import SourceTree
from dspec.grammar.walk import block_at, way_to

CLOSING = {"}": "{", ")": "(", "]": "["}


class Fold(Struct, frozen=True):
    """Lines from that of `start` to that of `end`; of brackets the line of the closing one stays to be seen."""

    start: int
    end: int
    kind: Literal["", "comment", "imports"] = ""


def pairs(tokens: list[Token]) -> Iterator[tuple[Token, Token]]:
    """Each opening bracket with the one that closes it; what is never closed has no pair."""
    waiting: list[Token] = []
    for token in tokens:
        if token.kind != "symbol":
            continue
        if token.text in CLOSING.values():
            waiting.append(token)
        elif token.text in CLOSING:
            opener = CLOSING[token.text]
            if any(one.text == opener for one in waiting):
                while waiting[-1].text != opener:
                    waiting.pop()
                yield waiting.pop(), token


def folds(tree: SourceTree) -> list[Fold]:
    found: list[Fold] = []
    imports: list[tuple[int, int]] = []
    for block in tree.blocks:
        tokens = tokenize(block.text)
        for opener, closer in pairs(tokens):
            if "\n" in block.text[opener.end : closer.start]:
                found.append(Fold(block.start + opener.start, block.start + closer.start))
        found += [
            Fold(block.start + token.start, block.start + token.end)
            for token in tokens
            if token.kind == "string" and "\n" in token.text
        ]
        if block.declaration and block.declaration.keyword.text == "import":
            imports.append((block.start, block.start + block.declaration.span.end))
    if len(imports) > 1:
        found.append(Fold(imports[0][0], imports[-1][1], "imports"))
    found += _comments(tokenize(tree.text))
    return sorted(found, key=lambda one: (one.start, -one.end))


def _comments(tokens: list[Token]) -> Iterator[Fold]:
    """Comments that fill lines one below the other."""
    run: list[Token] = []
    alone, breaks = True, 0
    for token in [*tokens, Token("name", "", 0)]:
        if token.kind == "newline":
            alone, breaks = True, breaks + 1
            continue
        if token.kind == "space":
            continue
        if token.kind == "comment" and alone and (not run or breaks == 1):
            run.append(token)
        else:
            if len(run) > 1:
                yield Fold(run[0].start, run[-1].end, "comment")
            run = [token] if token.kind == "comment" and alone else []
        alone, breaks = False, 0


MAX_GROWN = 100
"""Stretches that a selection grows through before it is the whole file: nobody presses a key more often."""


def growing(tree: SourceTree, offset: int) -> list[tuple[int, int]]:
    """The stretches that a selection at an offset grows to, the smallest first: word, expression, item, declaration."""
    block = block_at(tree, offset)
    whole = (0, len(tree.text))
    if block is None:
        return [whole]
    local = offset - block.start
    tokens = tokenize(block.text)
    spans: set[tuple[int, int]] = set()
    for token in tokens:
        if token.kind in ("space", "newline", "symbol", "unknown"):
            continue
        if token.start <= local <= token.end:
            spans.add((token.start, token.end))
            if token.kind == "string" and token.start < local < token.end:
                quotes = 3 if token.text.startswith('"""') else 1
                spans.add((token.start + quotes, token.end - quotes))
    for opener, closer in pairs(tokens):
        if opener.end <= local <= closer.start:
            spans.add((opener.end, closer.start))
            spans.add((opener.start, closer.end))
    if block.declaration is not None:
        for at in (local, max(local - 1, 0)):
            spans.update(
                (node.span.start, node.span.end)
                for node in way_to(block.declaration, at)
                if node.span.end >= local
            )
    grown: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda one: (one[1] - one[0], one)):
        if end > start and (not grown or (start <= grown[-1][0] and grown[-1][1] <= end)):
            grown.append((start, end))
    shifted = [(block.start + start, block.start + end) for start, end in grown[:MAX_GROWN]]
    return [*shifted, *([whole] if not shifted or shifted[-1] != whole else [])]
