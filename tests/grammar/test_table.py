"""The shipped table is the grammar's, and building it is strict."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lark.exceptions import GrammarError, UnexpectedToken
from lark.lexer import PatternStr

from dspec.grammar.automaton import TABLE_PATH, Stack, shipped_parser
from dspec.grammar.build import BUILDERS
from dspec.grammar.lexemes import ITEM_WORDS, NAMING_WORDS, RESERVED, SYMBOLS, Lexeme, read_lexemes
from dspec.grammar.table import GRAMMAR_PATH, make_table, table_text


def stack_after(lexemes: list[Lexeme]) -> Stack:
    stack = Stack()
    for lexeme in lexemes:
        stack.feed(lexeme)
    return stack


def test_the_shipped_table_is_current() -> None:
    assert TABLE_PATH.read_text(encoding="utf-8") == table_text(), "run: python -m dspec.grammar.table"


def test_the_table_does_not_depend_on_hash_order() -> None:
    code = "from dspec.grammar.table import table_text; print(hash(table_text()) and table_text(), end='')"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {table_text()}


def test_a_conflict_stops_the_build() -> None:
    grammar = GRAMMAR_PATH.read_text(encoding="utf-8")
    ambiguous = grammar.replace("?expr: either\n", '?expr: either\n     | expr "or" expr -> binary\n')
    assert ambiguous != grammar
    with pytest.raises(GrammarError, match=r"conflict|collision"):
        make_table(ambiguous)


def test_every_production_has_a_builder_and_every_builder_a_production() -> None:
    names: set[str] = set()
    for rule in shipped_parser().rules:
        passes_its_child_on = rule.options.expand1 and len(rule.expansion) == 1
        if rule.alias or not passes_its_child_on:
            names.add(rule.alias or rule.origin.name)
    assert names == set(BUILDERS)


def test_the_grammar_and_the_lexemes_agree_on_words_and_symbols() -> None:
    terminals = shipped_parser().terminals
    literals = {one.pattern.value: one.name for one in terminals if isinstance(one.pattern, PatternStr)}
    words = {word: word.upper() for word in (*RESERVED, *ITEM_WORDS, *NAMING_WORDS)}
    assert literals == SYMBOLS | words


def test_lark_is_imported_by_the_first_parse_and_not_before() -> None:
    look = "print('lark' in sys.modules, 'lark.lark' in sys.modules)"
    code = f"import sys; from dspec.grammar import parse; {look}; parse('lm x {{}}'); {look}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False False\nTrue True\n"


def test_looking_ahead_says_what_feeding_then_does() -> None:
    """At every place of the sample, for every terminal; and looking leaves the parse as it was."""
    declared = {"KEYWORD", "NAME", "NUMBER", "PERCENT", "STRING", "SEP", "HOLE", "$END"}
    terminals = sorted({one.name for one in shipped_parser().terminals} | declared)
    text = "program p(a: str, b: int = 1) -> (c: list[str]) { let x = f(a.b, -1)[0]; mode = not a in b }"
    taken: list[Lexeme] = []
    for lexeme in read_lexemes(text).lexemes:
        stack = stack_after(taken)
        states, values = list(stack.states), list(stack.values)
        fits = {terminal for terminal in terminals if stack.accepts(terminal)}
        assert (stack.states, stack.values) == (states, values)
        for terminal in terminals:
            if terminal in fits:
                stack_after([*taken, Lexeme(terminal, "0", 0, 0)])
            else:
                with pytest.raises(UnexpectedToken):
                    stack_after([*taken, Lexeme(terminal, "0", 0, 0)])
        if lexeme.terminal not in fits:
            break
        taken.append(lexeme)
    assert len(taken) > 30
