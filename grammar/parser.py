"""Text → tree, tolerant, one declaration at a time.

Never raises on bad text: what parses is kept, what does not is a `Problem`. A declaration's result
depends on its own text alone, so it is kept in a bounded cache and an edit costs one declaration.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from .depth import without_deep_parts
from .lexemes import MAX_PROBLEMS, Lexemes, excerpt, read_lexemes
from .split import certain_starts, inner_starts
from .tree import KEYWORDS, Block, Declaration, Problem, SourceTree, Span

_CACHED_STRETCHES = 4096
_CACHED_CHARACTERS = 32 * 1024
"""Longer stretches are parsed anew each time: the two bound what the cache can hold."""


def parse(text: str) -> SourceTree:
    """The file's tree: a block for every declaration, the broken ones too. Never raises."""
    starts = certain_starts(text)
    if not starts or starts[0]:
        starts.insert(0, 0)
    blocks: list[Block] = []
    for start, end in pairwise([*starts, len(text)]):
        stretch = text[start:end]
        found = _cached_blocks(stretch) if end - start <= _CACHED_CHARACTERS else _blocks(stretch)
        blocks += [
            Block(start + one.start, one.text, one.declaration, one.problems, one.comments) for one in found
        ]
    return SourceTree(text, tuple(blocks))


def _blocks(stretch: str) -> tuple[Block, ...]:
    """The blocks of a stretch of text, placed within it."""
    starts = inner_starts(stretch)
    return tuple(
        _parse_block(stretch[start:end], start, indented=start > 0 and stretch[start - 1] not in "\n\ufeff")
        for start, end in pairwise([*starts, len(stretch)])
    )


_cached_blocks = lru_cache(maxsize=_CACHED_STRETCHES)(_blocks)


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
