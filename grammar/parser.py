"""Text → tree, tolerant, one declaration at a time.

Never raises on bad text: what parses is kept, what does not is a `Problem`. A declaration's result
depends on its own text alone. So it is kept in a bounded cache, and `reparse` reads only the declarations
around an edit.
"""

from __future__ import annotations

import bisect
from itertools import pairwise
from threading import Lock

from .depth import without_deep_parts
from .lexemes import MAX_PROBLEMS, Lexemes, excerpt, read_lexemes
from .split import certain_starts, inner_starts, starts_certainly
from .tree import KEYWORDS, Block, Declaration, Problem, SourceTree, Span

_CACHED_CHARACTERS = 32 * 1024
"""Longer stretches are parsed anew each time."""


def parse(text: str) -> SourceTree:
    """The file's tree: a block for every declaration, the broken ones too. Never raises."""
    return SourceTree(text, tuple(_between(text, 0, len(text))))


def reparse(tree: SourceTree, text: str) -> SourceTree:
    """The tree of `text`, an edited version of the tree's text, equal to what `parse` gives.

    Blocks with the same declaration are the same objects: they have moved, so `tree` is used up.
    """
    before, old = tree.text, tree.blocks
    same = _common(before, text)
    left = min(len(before), len(text)) - same
    behind = _common_end(before[len(before) - left :], text[len(text) - left :]) if left else 0
    # Whether a line starts a declaration is a matter of that line alone: lines outside the edit do so as before.
    line = before.rfind("\n", 0, same) + 1
    first = bisect.bisect_left(old, line, key=lambda block: block.start)
    while first and not (
        first < len(old) and old[first].start < line and starts_certainly(before, old[first].start)
    ):
        first -= 1
    whole = before.find("\n", len(before) - behind) + 1 if behind else 0
    last = bisect.bisect_left(old, whole, lo=first, key=lambda block: block.start) if whole else len(old)
    while last < len(old) and not starts_certainly(before, old[last].start):
        last += 1
    distance = len(text) - len(before)
    start = old[first].start if first else 0
    end = old[last].start + distance if last < len(old) else len(text)
    between = _reusing(old[first:last], _between(text, start, end))
    for block in old[last:]:
        block.start += distance
    return SourceTree(text, (*old[:first], *between, *old[last:]))


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike. Compares slices, which costs a fraction of a loop."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _common_end(one: str, other: str) -> int:
    """How many characters two texts of one length end with alike."""
    least, most = 0, len(one)
    while least < most:
        middle = (least + most + 1) // 2
        if one[len(one) - middle : len(one) - least] == other[len(other) - middle : len(other) - least]:
            least = middle
        else:
            most = middle - 1
    return least


def _reusing(old: tuple[Block, ...], new: list[Block]) -> list[Block]:
    """The new blocks, and in place of each with the declaration of an old one that one, where the new one stands."""
    known: dict[str, list[Block]] = {}
    for block in reversed(old):
        known.setdefault(block.declared, []).append(block)
    found: list[Block] = []
    for block in new:
        waiting = known.get(block.declared)
        kept = waiting.pop() if waiting else block
        if kept.problems != block.problems:
            kept = block
        kept.start, kept.text, kept.comments = block.start, block.text, block.comments
        found.append(kept)
    return found


def _between(text: str, first: int, last: int) -> list[Block]:
    """The blocks from one place of a text to another. Both start declarations certainly, or are the text's ends."""
    starts = [first + start for start in certain_starts(text[first:last])]
    if not starts or starts[0] > first:
        starts.insert(0, first)
    blocks: list[Block] = []
    for start, end in pairwise([*starts, last]):
        stretch = text[start:end]
        found = _CACHE.blocks(stretch) if end - start <= _CACHED_CHARACTERS else _blocks(stretch)
        blocks += [
            Block(start + one.start, one.text, one.declaration, one.problems, one.comments) for one in found
        ]
    return blocks


def _blocks(stretch: str) -> tuple[Block, ...]:
    """The blocks of a stretch of text, placed within it."""
    starts = inner_starts(stretch)
    return tuple(
        _parse_block(stretch[start:end], start, indented=start > 0 and stretch[start - 1] not in "\n\ufeff")
        for start, end in pairwise([*starts, len(stretch)])
    )


class StretchCache:
    """The blocks of stretches that were parsed, those longest unused dropped.

    It holds as many as a file may have declarations: with fewer, reading a large file again would have each that is read push
    one out that is wanted soon. Since versions of a long one would fill it as well, their characters are bounded, too.
    """

    STRETCHES = 20_000
    CHARACTERS = 4 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Block, ...]] = {}
        self._characters = 0
        self._lock = Lock()

    def blocks(self, stretch: str) -> tuple[Block, ...]:
        with self._lock:
            found = self._kept.pop(stretch, None)
            if found is not None:
                self._kept[stretch] = found
                return found
        found = _blocks(stretch)
        with self._lock:
            self._characters += 0 if stretch in self._kept else len(stretch)
            self._kept[stretch] = found
            while len(self._kept) > self.STRETCHES or self._characters > self.CHARACTERS:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._characters -= len(oldest)
        return found

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._characters = 0


_CACHE = StretchCache()


def forget_parsed() -> None:
    """Free what is kept of texts that were parsed. Trees that somebody holds stay whole."""
    _CACHE.clear()


def _parse_block(text: str, start: int, *, indented: bool) -> Block:
    read = read_lexemes(text)
    first = read.lexemes[0]
    span = Span(first.start, first.end)
    declaration: Declaration | None = None
    if first.terminal not in ("KEYWORD", "DSPEC", "IMPORT", "TYPE"):
        problems = [Problem(span, "unexpected", excerpt(first.text), ("a declaration",))]
    elif first.text not in KEYWORDS:
        problems = [Problem(span, "unknown_keyword", excerpt(first.text), KEYWORDS)]
    elif read.too_long:
        problems = read.problems
    else:
        declaration, problems = _parse_declaration(text, read)
        if indented:
            expected = ("a declaration at the start of a line",)
            problems.append(Problem(span, "unexpected", first.text, expected))
    problems.sort(key=lambda problem: problem.span)
    return Block(start, text, declaration, tuple(problems[:MAX_PROBLEMS]), tuple(read.comments))


def _parse_declaration(text: str, read: Lexemes) -> tuple[Declaration | None, list[Problem]]:
    # Importing Lark takes longer than most parses; a command that parses nothing goes without.
    from .automaton import parse_lexemes
    from .recovery import recover

    declaration = None if read.too_deep else parse_lexemes(read.lexemes)
    problems = read.problems
    if declaration is None:
        declaration, problems = recover(text, read_lexemes(text, inner_breaks=True))
    if declaration is not None:
        declaration, too_deep = without_deep_parts(declaration)
        problems += too_deep
    return declaration, problems
