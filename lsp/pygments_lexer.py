"""Colours `.dspec` in what Pygments prints: documentation, notebooks, terminals (`pygmentize -l dspec`).

Read by the language's own lexer, so it cannot disagree with it; built-in names are those of the tables. Pygments finds the class
by the entry point in `pyproject.toml`; nothing else here imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pygments.lexer import Lexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Token

from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.judges import JUDGES
from dspec.compiler.tables.vocabulary import TYPES
from dspec.grammar.lexemes import ITEM_WORDS, NAMING_WORDS, RESERVED, Lexeme, read_lexemes
from dspec.grammar.parser import parse
from dspec.grammar.tokens import tokenize
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.values.functions import FUNCTIONS

_KINDS: dict[str, Any] = {
    "space": Text.Whitespace,
    "newline": Text.Whitespace,
    "comment": Comment.Single,
    "name": Name,
    "number": Number,
    "percent": Number,
    "string": String.Double,
    "broken_string": String.Double,
    "unknown": Token.Error,
}
_CONSTANTS = ("TRUE", "FALSE", "NONE")
_OPERATORS = ("AND", "OR", "NOT", "IN")
_BRACKETS = frozenset("{}()[],;.:")


class DspecLexer(Lexer):
    """For `.dspec` files. A word is coloured by where it stands: `step` is a name in `step = 3`."""

    name = "dspec"
    aliases: ClassVar = ["dspec"]
    filenames: ClassVar = ["*.dspec"]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        words = _words(text)
        for token in tokenize(text):
            if token.kind == "symbol":
                kind = Punctuation if token.text in _BRACKETS else Operator
            else:
                kind = (
                    words.get(token.start, _KINDS[token.kind]) if token.kind == "name" else _KINDS[token.kind]
                )
            yield token.start, kind, token.text


def _words(text: str) -> dict[int, Any]:
    """What each word is, by where it begins."""
    found: dict[int, Any] = {}
    for block in parse(text).blocks:
        lexemes = read_lexemes(block.text).lexemes
        keyword = lexemes[0].text if lexemes else ""
        for number, one in enumerate(lexemes[:-1]):
            before = lexemes[number - 1].terminal if number else ""
            kind = _word(one, before, lexemes[number + 1].terminal, keyword)
            if kind is not None:
                found[block.start + one.start] = kind
    return found


def _word(one: Lexeme, before: str, after: str, keyword: str) -> Any:
    terminal = one.terminal
    if terminal in ("KEYWORD", "DSPEC", "IMPORT", "TYPE"):
        return Keyword.Declaration
    if terminal in _CONSTANTS:
        return Keyword.Constant
    if terminal in _OPERATORS:
        return Operator.Word
    if before in ("KEYWORD", "TYPE"):
        return Name.Function if keyword in ("module", "program", "metric", "extern") else Name.Class
    if before in ("LET", "STEP", "GIVEN") and after == "ASSIGN":
        return Name.Variable
    if after == "ASSIGN" or (after == "LBRACE" and before in ("LBRACE", "SEP")):
        return Name.Attribute
    if terminal.lower() in (*RESERVED, *ITEM_WORDS):
        return Keyword
    if one.text in TYPES and (before in ("COLON", "ARROW", "BAR", "LSQB") or after == "LSQB"):
        return Keyword.Type
    if terminal.lower() in NAMING_WORDS:
        return Keyword
    if before == "DOT" or not one.text[:1].isidentifier():
        return None
    return _called(one.text, keyword) if after == "LPAR" else None


def _called(name: str, keyword: str) -> Any:
    if (keyword == "module" and name in STRATEGIES) or (keyword == "optimize" and find_optimizer(name)):
        return Name.Builtin
    known = (FUNCTIONS, JUDGES, AGGREGATES, SOURCES, EXTERN_SOURCES, ("env", "column", "artifact"))
    return Name.Builtin if any(name in one for one in known) else Name.Function
