"""The one style: what it looks like, and what it never does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from dspec_writer import broken_texts, dspec_texts, hostile_texts
from grammar_profile import thorough
from hypothesis import given
from snapshot import check_snapshot
from syntax import without_spans

from dspec.grammar import format_text, parse, tokenize

HERE = Path(__file__).parent
SAMPLE = (HERE / "sample.dspec").read_text(encoding="utf-8")


def trees(text: str) -> list[object]:
    return [without_spans(block.declaration) for block in parse(text).blocks]


def comments(text: str) -> Counter[str]:
    return Counter(token.text.rstrip() for token in tokenize(text) if token.kind == "comment")


def test_the_sample_is_in_style() -> None:
    assert format_text(SAMPLE) == SAMPLE


def test_what_it_looks_like() -> None:
    check_snapshot(HERE / "formatted.dspec", format_text((HERE / "untidy.dspec").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n \n", ""),
        ("# only\n\n\n\n# comments", "# only\n\n# comments\n"),
        ("\ufefflm a{}\r\n\r\n\r\n\r\nlm b{}", "lm a {}\n\nlm b {}\n"),
        ("lm a {}\nlm b {}\n", "lm a {}\nlm b {}\n"),
        ("lm a {}\nlm b {\n}\n", "lm a {}\nlm b {}\n"),
        ("lm a {}\nlm b {\n x = 1\n}\nlm c {}", "lm a {}\n\nlm b {\n  x = 1\n}\n\nlm c {}\n"),
        ("lm a {}\n# of b\nlm b {\n x = 1\n}\n", "lm a {}\n\n# of b\nlm b {\n  x = 1\n}\n"),
        ("lm a {}\n# of a\n\nlm b {}\n", "lm a {}\n# of a\n\nlm b {}\n"),
        ("lm a { x = 1;y = 2 ; }", "lm a { x = 1; y = 2 }\n"),
        ("lm a {\n\n x = 1;y = 2\n\n\n\n z = 3\n\n}", "lm a {\n  x = 1\n  y = 2\n\n  z = 3\n}\n"),
        ("lm a { # c\n}", "lm a {  # c\n}\n"),
        ("lm a # c\n{ x = 1 }", "lm a {  # c\n  x = 1\n}\n"),
        ("lm a { x = - 1 - - b [ 0 ] . c ( d ) }", "lm a { x = -1 - -b[0].c(d) }\n"),
        ("lm a { x = not(b)and c in[d] }", "lm a { x = not (b) and c in [d] }\n"),
        ("lm a { x = f(b,c,) }", "lm a { x = f(b, c) }\n"),
        ("type T=list [ str ] ?|dict[str,lms . X]", "type T = list[str]? | dict[str, lms.X]\n"),
        ("module m=f(sig (a,b : str->c))", "module m = f(sig(a, b: str -> c))\n"),
        ("program p (a)->(b : int){}", "program p(a) -> (b: int) {}\n"),
        ('lm a { "doc"\n x = 1 }', 'lm a {\n  "doc"\n  x = 1\n}\n'),
    ],
)
def test_small_texts(text: str, expected: str) -> None:
    assert format_text(text) == expected


@pytest.mark.parametrize(
    "broken",
    [
        "lm a {  x   =  }",
        "lm a {\r\n  x = f( 1\r\n  y  = 2 # c\r\n}",
        "lm a {  x = 'b'  }",
        "foo   bar {}",
        '  lm  a  { x = "',
        "lm a { }  lm  b { }",
    ],
)
def test_a_broken_declaration_stays_as_it_is(broken: str) -> None:
    text = f"lm  x  {{}}\n\n\n{broken}\n\n\n\nlm  y  {{}}\n"
    assert format_text(text) == f"lm x {{}}\n\n{broken}\n\nlm y {{}}\n"


def test_a_string_that_is_never_closed_keeps_what_follows() -> None:
    text = 'lm  a {}\nlm b { x = """\n\n\n\nfoo  \n\n\nlm  c {}\n'
    assert format_text(text) == 'lm a {}\n\nlm b { x = """\n\n\n\nfoo  \n\n\nlm c {}\n'


@thorough
@given(dspec_texts)
def test_formatting_keeps_the_tree_and_every_comment(text: str) -> None:
    formatted = format_text(text)
    assert not [block.problems for block in parse(formatted).blocks if block.problems]
    assert trees(formatted) == trees(text)
    assert comments(formatted) == comments(text)
    assert format_text(formatted) == formatted


@thorough
@given(dspec_texts)
def test_lines_are_tidy(text: str) -> None:
    lines = format_text(text).split("\n")
    assert lines.pop() == ""
    strings = {line for token in tokenize(text) if token.kind == "string" for line in token.text.split("\n")}
    for number, line in enumerate(lines):
        assert line == line.rstrip() or line in strings
        assert line or (0 < number < len(lines) - 1 and lines[number - 1])


@thorough
@given(dspec_texts)
def test_windows_line_ends_and_byte_order_marks_make_no_difference(text: str) -> None:
    assert format_text("\ufeff" + text.replace("\n", "\r\n")) == format_text(text)


@pytest.mark.parametrize(
    "text", ['"\r', '"\r\r', 'lm x { a = "b\r', 'lm x { a = "b\r\r\n', "#\r", '"""\r', "lm x\r"]
)
def test_a_carriage_return_at_the_end_makes_no_new_line_end(text: str) -> None:
    formatted = format_text(text)
    assert format_text(formatted) == formatted


@thorough
@given(broken_texts | hostile_texts)
def test_what_does_not_parse_is_kept(text: str) -> None:
    formatted = format_text(text)
    assert format_text(formatted) == formatted
    for block in parse(text).blocks:
        words = [token for token in tokenize(block.text) if token.kind not in ("space", "newline", "comment")]
        if block.problems:
            assert block.text[: words[-1].end] in formatted
    assert comments(formatted) == comments(text)
