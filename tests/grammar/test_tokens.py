"""Tokens tile the text and tell apart what the editor colours."""

from __future__ import annotations

import pytest
from dspec_writer import dspec_texts, hostile_texts
from grammar_profile import thorough
from hypothesis import given

from dspec.grammar import tokenize


def kinds(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokenize(text) if token.kind != "space"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b2 größe _x", [("name", "a"), ("name", "b2"), ("name", "größe"), ("name", "_x")]),
        ("1 2.5 1e-3 1_000", [("number", "1"), ("number", "2.5"), ("number", "1e-3"), ("number", "1_000")]),
        ("20% 2.5%", [("percent", "20%"), ("percent", "2.5%")]),
        ("20 %", [("number", "20"), ("unknown", "%")]),
        ("x.5.top", [("name", "x"), ("symbol", "."), ("number", "5"), ("symbol", "."), ("name", "top")]),
        ('"a \\" # b" # c', [("string", '"a \\" # b"'), ("comment", "# c")]),
        ('""', [("string", '""')]),
        ('"""a "b" \n c"""', [("string", '"""a "b" \n c"""')]),
        ('"abc\nd', [("broken_string", '"abc'), ("newline", "\n"), ("name", "d")]),
        ('"abc\\', [("broken_string", '"abc\\')]),
        ('"""abc\nlm x{', [("broken_string", '"""abc'), ("newline", "\n"), ("name", "lm"), ("name", "x"),
                          ("symbol", "{")]),
        ("a->b==c", [("name", "a"), ("symbol", "->"), ("name", "b"), ("symbol", "=="), ("name", "c")]),
        ("a\r\nb", [("name", "a"), ("newline", "\r\n"), ("name", "b")]),
        ("# c\r\n", [("comment", "# c"), ("newline", "\r\n")]),
        ("a && 'b'", [("name", "a"), ("unknown", "&&"), ("unknown", "'"), ("name", "b"), ("unknown", "'")]),
    ],
)  # fmt: skip
def test_kinds(text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(text) == expected


def test_a_byte_order_mark_is_blank() -> None:
    assert [token.kind for token in tokenize("\ufefflm")] == ["space", "name"]


@thorough
@given(dspec_texts | hostile_texts)
def test_tokens_tile_the_text(text: str) -> None:
    tokens = tokenize(text)
    assert "".join(token.text for token in tokens) == text
    assert all(token.text and token.end == token.start + len(token.text) for token in tokens)
    assert [token.start for token in tokens] == [0, *(token.end for token in tokens[:-1])][: len(tokens)]
