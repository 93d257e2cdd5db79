"""What editors know of the language without the server: their words are the tables', their colours the lexer's."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from coloured import PROGRAMS, being_typed
from generators import generator
from textmate import Grammar

from dspec.grammar.lexemes import ITEM_WORDS, Lexeme, read_lexemes
from dspec.grammar.parser import parse
from dspec.grammar.tokens import tokenize

made = generator("editors")
GRAMMAR = Grammar(made.EDITORS / "vscode" / "syntaxes" / "dspec.tmLanguage.json")


@pytest.mark.parametrize("path", made.files(), ids=lambda path: path.name)
def test_words_of_editors_are_fresh(path: Path) -> None:
    assert made.refreshed(path) == path.read_text(encoding="utf-8"), "python3.11 dev.py generate"


def test_every_kind_of_editor_file_has_lists() -> None:
    assert {path.suffix for path in made.files()} == set(made.FORMS)


def test_patterns_are_those_that_both_engines_know() -> None:
    for pattern in GRAMMAR.patterns():
        re.compile(pattern)
        assert not re.search(r"\(\?[>~<][^=!]|\\[ghHKRXGAzZ]|[+*?}]\+", pattern), pattern


def lexemes(text: str) -> Iterator[tuple[Lexeme, Lexeme | None, Lexeme | None]]:
    """Each terminal with its neighbours, where they stand in the file."""
    for block in parse(text).blocks:
        found = [one for one in read_lexemes(block.text).lexemes if one.terminal not in ("SEP", "$END")]
        placed = [
            Lexeme(one.terminal, one.text, block.start + one.start, block.start + one.end) for one in found
        ]
        yield from zip(placed, [None, *placed], [*placed[1:], None], strict=False)


def expected(one: Lexeme, before: Lexeme | None, after: Lexeme | None) -> str:
    """A pattern of the innermost scopes that a word may have."""
    opens = after is not None and after.terminal in ("ASSIGN", "LBRACE")
    match one.terminal:
        case "KEYWORD" | "DSPEC" | "TYPE":
            return r"storage\.type"
        case "IMPORT":
            return r"keyword\.control\.import"
        case "AND" | "OR" | "NOT" | "IN":
            return r"keyword\.operator\.word"
        case "IF" | "THEN" | "ELSE" | "FOR":
            return r"keyword\.control"
        case "TRUE" | "FALSE" | "NONE":
            return r"constant\.language"
        case "SIG":
            return r"storage\.type\.signature"
        case "LIST" | "DICT" | "TUPLE" if after is not None and after.terminal == "LSQB":
            return r"support\.type"
        case "AS" if before is not None and before.terminal == "STRING":
            return r"keyword\.control\.import"
        case "EXTENDS" if after is not None and after.terminal == "NAME":
            return r"storage\.modifier"
        case "REPEAT" if after is not None and after.terminal == "NUMBER":
            return r"keyword\.control"
        case "FROM" if before is not None and before.terminal == "NUMBER":
            return r"keyword\.control"
        case terminal if terminal.lower() in ITEM_WORDS and not opens:
            return r"keyword\.(?:other|control)\.item"
        case "STRING":
            return r"string|constant\.character"
        case "NUMBER" | "PERCENT":
            return r"constant\.numeric"
        case terminal if one.text[:1].isidentifier():
            return r"variable|entity|support"
        case _:
            return r"keyword\.operator|punctuation"


def check_kinds(text: str, where: str) -> None:
    scopes = GRAMMAR.scopes(text)
    assert len(scopes) == len(text)
    for token in tokenize(text):
        if token.kind == "newline":
            continue  # editors read lines, and ask for no colour of their ends
        inner = (scopes[token.start] or ("",))[-1]
        in_string = any(one.startswith("string") for one in scopes[token.start])
        assert (token.kind == "comment") == inner.startswith("comment"), (where, token)
        assert (token.kind in ("string", "broken_string")) == in_string, (where, token)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_word_has_the_scope_that_the_lexer_means(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    check_kinds(text, path.name)
    scopes = GRAMMAR.scopes(text)
    for one, before, after in lexemes(text):
        inner = (scopes[one.start] or ("",))[-1]
        line = text.count("\n", 0, one.start) + 1
        assert re.match(expected(one, before, after), inner), (line, one, inner)


def test_strings_and_comments_of_what_is_being_typed() -> None:
    """An open string or bracket costs its own declaration and no more, as in the lexer."""
    for number, text in enumerate(being_typed()):
        check_kinds(text, f"case {number}")
