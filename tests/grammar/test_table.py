"""The shipped table is the grammar's, and building it is strict."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lark.exceptions import GrammarError

from dspec.grammar.automaton import TABLE_PATH
from dspec.grammar.build import BUILDERS
from dspec.grammar.lexemes import ITEM_WORDS, RESERVED, SYMBOLS
from dspec.grammar.table import GRAMMAR_PATH, make_table, table_text


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
    table = json.loads(TABLE_PATH.read_text(encoding="utf-8"))
    assert {alias for _, _, alias, _ in table["productions"] if alias} == set(BUILDERS)


def test_the_grammar_and_the_lexemes_agree_on_words_and_symbols() -> None:
    literals = json.loads(TABLE_PATH.read_text(encoding="utf-8"))["literals"]
    words = {word: word.upper() for word in (*RESERVED, *ITEM_WORDS, "as", "list", "dict")}
    assert literals == SYMBOLS | words


def test_parsing_needs_no_lark() -> None:
    code = "import sys; from dspec.grammar import parse; parse('lm x {}'); print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
