"""Pygments colours `.dspec` as the language reads it."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from coloured import PROGRAMS
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

from dspec.grammar.tokens import tokenize
from dspec.lsp.pygments_lexer import DspecLexer

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"comment": Comment, "string": String, "broken_string": String, "number": Number, "percent": Number}


def colours(text: str) -> dict[int, tuple[object, str]]:
    return {start: (kind, value) for start, kind, value in DspecLexer().get_tokens_unprocessed(text)}


def test_the_entry_point_names_the_lexer() -> None:
    lines = (
        (ROOT / "pyproject.toml")
        .read_text(encoding="utf-8")
        .partition('"pygments.lexers"]\n')[2]
        .splitlines()
    )
    name, _, value = lines[0].partition(" = ")
    assert EntryPoint(name, value.strip('"'), "pygments.lexers").load() is DspecLexer


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_is_read_whole(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = colours(text)
    assert "".join(value for _, value in found.values()) == text
    for token in tokenize(text):
        kind = found[token.start][0]
        assert kind is not Error
        wanted = KINDS.get(token.kind)
        assert {group for group in KINDS.values() if kind in group} == ({wanted} if wanted else set()), token


def test_words_by_where_they_stand() -> None:
    text = """dspec 1
lm mini { price { input = 0.15 } }
module ask = Predict(Route)
metric m(gold: d, pred: ask) { score = not len(gold.step) > 3 }
optimize o { step a = MIPROv2(auto = "light") ; step = 3 }
record R { field list: list[str]; field b: date? }
"""
    by_word = [(value, kind) for kind, value in colours(text).values()]
    assert set(by_word) >= {
        ("dspec", Keyword.Declaration), ("input", Name.Attribute), ("Predict", Name.Builtin), ("not", Operator.Word),
        ("len", Name.Builtin), ("step", Name), ("step", Keyword), ("step", Name.Attribute), ("MIPROv2", Name.Builtin),
        ("auto", Name.Attribute), ("a", Name.Variable), ("field", Keyword), ("list", Keyword.Type), ("date", Keyword.Type), ("ask", Name.Function),
    }  # fmt: skip
