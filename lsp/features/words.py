"""The word at a place of the text, and the way through the syntax tree that leads to it."""

from __future__ import annotations

from functools import cached_property

from dspec.compiler.check import query
from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.symbols import Symbol
from dspec.grammar import tokenize
from dspec.grammar.lexemes import string_value
from dspec.grammar.tokens import Token
from dspec.grammar.tree import Block, Node
from dspec.grammar.walk import block_at, way_to

_SHOWN = ("name", "string", "broken_string", "number", "percent", "comment")


class CursorWord:
    """A name, string, number or comment. `start` and `end` are offsets in the file."""

    def __init__(self, analysis: Analysis, block: Block | None, token: Token, base: int) -> None:
        self.analysis = analysis
        self.block = block
        self.token = token
        self.start = base + token.start
        self.end = base + token.end

    @property
    def text(self) -> str:
        return self.token.text

    @property
    def kind(self) -> str:
        return self.token.kind

    @property
    def value(self) -> str:
        """What a string says."""
        return string_value(self.token.text)

    @property
    def keyword(self) -> str:
        """The word that starts the declaration."""
        declaration = self.block.declaration if self.block else None
        return declaration.keyword.text if declaration else ""

    @cached_property
    def way(self) -> tuple[Node, ...]:
        """From the declaration to the innermost node that has the word; empty where no declaration could be read."""
        if self.block is None or self.block.declaration is None:
            return ()
        return way_to(self.block.declaration, self.token.start)

    @property
    def node(self) -> Node | None:
        """The node that is the word itself."""
        found = self.way[-1] if self.way else None
        return found if found is not None and found.span.start == self.token.start else None

    @cached_property
    def view(self) -> query.View | None:
        """The declaration as the check reads it."""
        return query.view_at(self.analysis, self.start)

    @cached_property
    def symbol(self) -> Symbol | None:
        """What the name declares or stands for."""
        return query.symbol_at(self.analysis, self.start) if self.kind == "name" else None

    def above(self, kind: type[Node], steps: int = 1) -> Node | None:
        """The node so many steps above the word, if it is of that kind."""
        found = self.way[-1 - steps] if len(self.way) > steps else None
        return found if isinstance(found, kind) else None


def word_at(analysis: Analysis, offset: int) -> CursorWord | None:
    """The word that holds an offset, or that ends there."""
    block = block_at(analysis.tree, offset)
    base = block.start if block else 0
    tree = analysis.tree
    text = block.text if block else tree.text[: tree.blocks[0].start if tree.blocks else None]
    local = offset - base
    before: Token | None = None
    for token in tokenize(text):
        if token.start > local:
            break
        if token.kind in _SHOWN and local < token.end:
            return CursorWord(analysis, block, token, base)
        if token.start < local:
            before = token
    if before is not None and before.end == local and before.kind in _SHOWN:
        return CursorWord(analysis, block, before, base)
    return None
