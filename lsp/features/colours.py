"""Semantic tokens: what each word of a file is, by the check where it knows and by the syntax elsewhere."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.block_specs import SymbolKind
from dspec.compiler.tables.judges import JUDGES
from dspec.compiler.tables.vocabulary import TYPES
from dspec.grammar.lexemes import ITEM_WORDS, NAMING_WORDS, RESERVED, read_lexemes
from dspec.grammar.tokens import tokenize
from dspec.grammar.tree import (
    Argument,
    Block,
    Call,
    Name,
    NamedType,
    Node,
    Reference,
    Section,
    Setting,
    SettingOf,
)
from dspec.grammar.walk import children
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.values.functions import FUNCTIONS

_OF_SYMBOLS: dict[SymbolKind, str] = {
    "import": "namespace",
    "type": "type",
    "record": "struct",
    "lm": "variable",
    "signature": "class",
    "module": "function",
    "program": "function",
    "extern": "function",
    "metric": "function",
    "dataset": "variable",
    "optimize": "function",
    "eval": "variable",
    "test": "variable",
    "input": "property",
    "output": "property",
    "field": "property",
    "column": "property",
    "part": "property",
    "let": "variable",
    "step": "variable",
    "parameter": "parameter",
    "variable": "variable",
}


class Coloured(Struct, frozen=True):
    """A stretch within one line; `type` and `modifiers` are those of the legend (`token_types`)."""

    start: int
    end: int
    type: str
    modifiers: tuple[str, ...] = ()


def colours(analysis: Analysis, start: int = 0, end: int | None = None) -> list[Coloured]:
    """The tokens of the stretch from `start` to `end`, in their order."""
    last = len(analysis.tree.text) if end is None else end
    names = _names(analysis)
    found: list[Coloured] = []
    blocks = analysis.tree.blocks
    head = analysis.tree.text[: blocks[0].start if blocks else None]
    found += [one for one in _comments(head) if one.end > start and one.start < last]
    first = max(bisect.bisect_right(blocks, start, key=lambda block: block.start) - 1, 0)
    for block in blocks[first:]:
        if block.start >= last:
            break
        found += [one for one in _block(block, names) if one.end > start and one.start < last]
    return found


def _names(analysis: Analysis) -> dict[int, Coloured]:
    """The names of the file that the check knows, by where they begin."""
    found: dict[int, Coloured] = {}
    source = analysis.source
    for use in analysis.symbols.uses:
        if use.location.source is source:
            place = use.location
            found[place.start] = Coloured(place.start, place.end, _OF_SYMBOLS[use.symbol.kind])
    for symbol in analysis.symbols.declared:
        place = symbol.location
        if place.source is source:
            found[place.start] = Coloured(place.start, place.end, _OF_SYMBOLS[symbol.kind], ("declaration",))
    return found


def _comments(text: str) -> Iterator[Coloured]:
    for token in tokenize(text):
        if token.kind == "comment":
            yield Coloured(token.start, token.end, "comment")


def _block(block: Block, names: dict[int, Coloured]) -> Iterator[Coloured]:
    roles = dict(_roles(block)) if block.declaration is not None else {}
    words = {one.start for one in read_lexemes(block.text).lexemes if _is_word(one.terminal)}
    for token in tokenize(block.text):
        at = block.start + token.start
        match token.kind:
            case "comment":
                yield Coloured(at, block.start + token.end, "comment")
            case "number" | "percent":
                yield Coloured(at, block.start + token.end, "number")
            case "string" | "broken_string":
                yield from _lines(token.text, at)
            case "name" if at in names:
                if names[at].end == block.start + token.end:
                    yield names[at]
            case "name" if token.start in words and roles.get(token.start) != ("property",):
                yield Coloured(at, block.start + token.end, "keyword")
            case "name" if token.start in roles:
                kind, *more = roles[token.start]
                yield Coloured(at, block.start + token.end, kind, tuple(more))
            case _:
                pass


_WORDS = {word.upper() for word in (*RESERVED, *ITEM_WORDS, *NAMING_WORDS)} - {"LIST", "DICT", "TUPLE"}


def _is_word(terminal: str) -> bool:
    return terminal in _WORDS or terminal in ("KEYWORD", "DSPEC", "IMPORT", "TYPE")


def _lines(text: str, start: int) -> Iterator[Coloured]:
    """A string line by line: few editors colour a token of several lines."""
    for line in text.splitlines(keepends=True):
        shown = line.rstrip("\r\n")
        if shown:
            yield Coloured(start, start + len(shown), "string")
        start += len(line)


def _roles(block: Block) -> Iterator[tuple[int, tuple[str, ...]]]:
    """What a name is by where it stands, where the check knows no declaration of it."""
    assert block.declaration is not None
    keyword = block.declaration.keyword.text
    waiting: list[Node] = [block.declaration]
    while waiting:
        node = waiting.pop()
        waiting += children(node)
        match node:
            case Setting(name=name) | Section(name=name) | SettingOf(name=name):
                yield name.span.start, ("property",)
            case Argument(name=Name() as name):
                yield name.span.start, ("parameter",)
            case Call(callee=Reference(name=name)):
                kind = _built_in(name.text, keyword)
                if kind:
                    yield name.span.start, (kind, "defaultLibrary")
            case NamedType(name=name) if name.text in TYPES:
                yield name.span.start, ("type", "defaultLibrary")
            case _:
                pass
    for lexeme in read_lexemes(block.text).lexemes:
        if lexeme.terminal in ("LIST", "DICT", "TUPLE"):
            yield lexeme.start, ("type", "defaultLibrary")


def _built_in(name: str, keyword: str) -> str:
    if keyword == "module" and name in STRATEGIES:
        return "class"
    if keyword == "optimize" and find_optimizer(name) is not None:
        return "class"
    known = (
        name in FUNCTIONS or name in JUDGES or name in AGGREGATES or name in SOURCES or name in EXTERN_SOURCES
    )
    return "function" if known or name in ("env", "column", "artifact") else ""
