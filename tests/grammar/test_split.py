"""Blocks tile the text, and a fault stays within its own."""

from __future__ import annotations

import pytest
from dspec_writer import broken_texts, dspec_texts, hostile_texts
from grammar_profile import thorough
from hypothesis import given
from hypothesis import strategies as st

from dspec.grammar import parse, tokenize


def starts_of_blocks(text: str) -> list[str]:
    """The first line of every block."""
    return [block.text.split("\n", 1)[0] for block in parse(text).blocks]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n\n# only a comment\n", []),
        ("\ufefflm a {}\nlm b {}\n", ["lm a {}", "lm b {}"]),
        ("lm a {}\r\nlm b {}\r\n", ["lm a {}\r", "lm b {}\r"]),
        ("lm a {\n  x = 1\nlm b {}\n", ["lm a {", "lm b {}"]),
        ("lm a { x = f(\nlm b {}\n", ["lm a { x = f(", "lm b {}"]),
        ('lm a { x = """\nlm b {}\n', ['lm a { x = """', "lm b {}"]),
        ('lm a { x = "\nlm b {}\n', ['lm a { x = "', "lm b {}"]),
        ('lm a { x = """\nlm b\n""" }\n', ['lm a { x = """']),
        ('lm a { x = "{" }\nfoo b\n', ['lm a { x = "{" }', "foo b"]),
        ("# lm a {\nlm b {}\n", ["lm b {}"]),
        ("signatur A {\n  x = 1\n}\nlm b {}\n", ["signatur A {", "lm b {}"]),
        ("lm a {}\n  lm b {}\n", ["lm a {}", "lm b {}"]),
        ("lm a {} lm b {}\n", ["lm a {} ", "lm b {}"]),
        ('type T = "a"\n| "b"\nor\n', ['type T = "a"']),
        ("module a =\nPredict(S)\n", ["module a ="]),
        ("optimize o {\nprogram = p\nmetric = m\n}\n", ["optimize o {"]),
        ("lm a {\nx = [\nb,\n]\n}\n", ["lm a {"]),
        ('import "a" as b\nimport\ndspec 1\n', ['import "a" as b', "import", "dspec 1"]),
        ("}\nlm a {}\n", ["}", "lm a {}"]),
    ],
)
def test_where_blocks_start(text: str, expected: list[str]) -> None:
    assert starts_of_blocks(text) == expected


@thorough
@given(dspec_texts | broken_texts | hostile_texts)
def test_blocks_tile_the_text_from_the_first_token_on(text: str) -> None:
    tree = parse(text)
    assert tree.text == text
    start = tree.blocks[0].start if tree.blocks else len(text)
    assert {token.kind for token in tokenize(text[:start])} <= {"space", "newline", "comment"}
    for block in tree.blocks:
        assert block.start == start
        assert block.text
        start += len(block.text)
    assert start == len(text)


@thorough
@given(broken_texts, st.data())
def test_what_stands_behind_a_boundary_is_split_alike_without_what_stands_before(
    text: str, data: st.DataObject
) -> None:
    blocks = parse(text).blocks
    at_line_start = [block for block in blocks if not block.start or text[block.start - 1] == "\n"]
    if at_line_start:
        block = data.draw(st.sampled_from(at_line_start))
        rest = parse(text[block.start :]).blocks
        assert [one.text for one in rest] == [one.text for one in blocks[blocks.index(block) :]]
