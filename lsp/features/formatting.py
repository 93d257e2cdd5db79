"""Formatting by the one style of `dspc fmt`: a whole file, the declarations of a stretch, the one that was just closed."""

from __future__ import annotations

import difflib
from itertools import pairwise

from msgspec import Struct

from dspec.grammar import format_text, tokenize
from dspec.grammar.tree import Block, SourceTree
from dspec.grammar.walk import block_at

INDENT = "  "
MAX_COMPARED = 4_000
"""Lines that are compared one by one; more are replaced in one piece."""


class LineChange(Struct, frozen=True):
    """The text from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str


def format_whole(text: str) -> list[LineChange]:
    return changes(text, _with_ends_of(text, format_text(text)))


def format_range(tree: SourceTree, start: int, end: int) -> list[LineChange]:
    """The declarations that the stretch touches, each by itself; broken ones stay."""
    found: list[LineChange] = []
    for block in tree.blocks:
        if block.start <= end and start <= block.start + len(block.text):
            found += _declaration(tree.text, block)
    return found


def format_closed(tree: SourceTree, offset: int) -> list[LineChange]:
    """The declaration that a `}` before the offset ends, if it does and if it parses."""
    block = block_at(tree, offset)
    if block is None or block.declaration is None:
        return []
    ends = block.start + block.declaration.span.end == offset
    return _declaration(tree.text, block) if ends else []


def indent_line(tree: SourceTree, offset: int) -> list[LineChange]:
    """The indentation of a line that was just begun: a step for each bracket that is open."""
    text = tree.text
    start = text.rfind("\n", 0, offset) + 1
    end = start
    while end < len(text) and text[end] in " \t":
        end += 1
    block = block_at(tree, max(start - 1, 0))
    if block is None:
        return []
    depth = 0
    for token in tokenize(text[block.start : start]):
        if token.kind == "symbol":
            depth += (token.text in "{[(") - (token.text in "}])")
        elif token.kind == "broken_string":
            return []
    depth -= text[end : end + 1] in ("}", "]", ")") and end < len(text)
    wanted = INDENT * max(depth, 0)
    return [LineChange(start, end, wanted)] if text[start:end] != wanted else []


def _declaration(text: str, block: Block) -> list[LineChange]:
    if block.problems or block.declaration is None:
        return []
    start, end = block.start, block.start + block.declaration.span.end
    if "\n" in text[:start] and text[start - 1] != "\n":
        return []  # it shares its line with another one
    old = text[start:end]
    new = _with_ends_of(text, format_text(old)).rstrip("\r\n")
    return [LineChange(start + one.start, start + one.end, one.text) for one in changes(old, new)]


def _with_ends_of(text: str, formatted: str) -> str:
    return formatted.replace("\n", "\r\n") if "\r\n" in text[: text.find("\n") + 1] else formatted


def changes(old: str, new: str) -> list[LineChange]:
    """The fewest whole lines that turn one text into the other."""
    if old == new:
        return []
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    middle, wanted = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(middle) + len(wanted) > MAX_COMPARED:
        return [LineChange(starts[head], starts[len(before) - tail], "".join(wanted))]
    matcher = difflib.SequenceMatcher(None, middle, wanted, autojunk=False)
    return [
        LineChange(starts[head + first], starts[head + last], "".join(wanted[start:end]))
        for kind, first, last, start, end in matcher.get_opcodes()
        if kind != "equal"
    ]


def applied(text: str, found: list[LineChange]) -> str:
    """The text with the changes, which do not overlap."""
    ordered = sorted(found, key=lambda one: one.start)
    edges = [0, *(each for one in ordered for each in (one.start, one.end)), len(text)]
    kept = [text[start:end] for start, end in pairwise(edges)][::2]
    return "".join(piece + one for piece, one in zip(kept, [*(one.text for one in ordered), ""], strict=True))
