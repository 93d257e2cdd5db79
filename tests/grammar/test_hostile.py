"""Untrusted text: bounded depth, and work in proportion to length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from syntax import nodes

from dspec.grammar import format_text, parse
from dspec.grammar.lexemes import MAX_NESTING, MAX_TOKENS
from dspec.grammar.tree import Node
from dspec.grammar.walk import children

Trace = Callable[[FrameType, str, object], "Trace"]

SHAPES: dict[str, Callable[[int], str]] = {
    "open parentheses": lambda n: "lm x { a = " + "(" * n,
    "open brackets, closed braces": lambda n: "lm x { a = " + "([" * (n // 2) + "}",
    "closing brackets": lambda n: "lm x { a = " + "(" * (n // 2) + "}" * (n // 2),
    "open braces": lambda n: "lm x " + "{" * n,
    "sections": lambda n: "lm x " + "{a " * (n // 3),
    "not": lambda n: "lm x { a = " + "not " * (n // 4) + "b }",
    "minus": lambda n: "lm x { a = " + "-" * n + "b }",
    "sums": lambda n: "lm x { a = " + "b+" * (n // 2) + "b }",
    "attributes": lambda n: "lm x { a = " + "b." * (n // 2) + "b }",
    "calls": lambda n: "lm x { a = f" + "(b)" * (n // 3) + "}",
    "optional types": lambda n: "type x = a" + "?" * n,
    "conditionals": lambda n: "lm x { a = " + "if a then b else " * (n // 16) + "c }",
    "open strings": lambda n: 'lm x { a = "' + "x" * n,
    "backslashes": lambda n: 'lm x { a = "' + "\\" * n,
    "bad escapes": lambda n: 'lm x { a = "' + "\\q" * (n // 2) + '" }',
    "triple quotes": lambda n: "lm x { a = " + '"""\n' * (n // 4),
    "triple quotes at headers": lambda n: '"""\nlm x {\n' * (n // 11),
    "quotes": lambda n: '"' * n,
    "digits": lambda n: "lm x { a = " + "9" * n + " }",
    "broken items": lambda n: "lm x {\n" + " a = \n" * (n // 6) + "}",
    "unclosed items": lambda n: "lm x {\n" + " a = f(b,\n" * (n // 10) + "}",
    "items on one line": lambda n: "lm x {" + "a=1 " * (n // 4),
    "broken arguments": lambda n: "lm x { a = f(" + "a=," * (n // 3),
    "broken parameters": lambda n: "metric m(" + "a:," * (n // 3),
    "keywords": lambda n: "lm\n" * (n // 3),
    "words": lambda n: "a\n" * (n // 2),
    "unknown characters": lambda n: "lm x { a = " + "@ " * (n // 2),
    "carriage returns": lambda n: "\r" * n,
    "comments": lambda n: "lm x {" + "#\n" * (n // 2) + "}",
    "one long list": lambda n: "lm x { a = [" + "1," * (n // 2) + "] }",
}


def steps(work: Callable[[], object]) -> int:
    """Lines of Python run: a measure of work that no busy machine disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Trace:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_length_only(shape: str) -> None:
    small, large = SHAPES[shape](2_000), SHAPES[shape](8_000)
    parse("lm x {}")  # reads the table
    few, many = steps(lambda: format_text(small)), steps(lambda: format_text(large))
    assert many <= 5 * few + 150_000  # what is constant: crossing a limit starts the recovery


@pytest.mark.parametrize("shape", SHAPES)
def test_trees_can_be_walked_by_recursion(shape: str) -> None:
    def depth(node: Node) -> int:
        return 1 + max(map(depth, children(node)), default=0)

    for block in parse(SHAPES[shape](4_000)).blocks[:3]:
        assert block.problems or block.declaration
        if block.declaration:
            assert depth(block.declaration) <= 2 * MAX_NESTING + 5


def test_nesting_below_the_limit_is_fine() -> None:
    depth = MAX_NESTING - 2
    (block,) = parse("lm x { a = " + "(" * depth + "b" + ")" * depth + " }").blocks
    assert block.problems == ()
    (block,) = parse("lm x { a = " + "[" * depth + "b" + "]" * depth + " }").blocks
    assert block.problems == ()


@pytest.mark.parametrize(
    "deep", ["(" * 200 + "b" + ")" * 200, "b" + " + b" * 200, "b" + ".b" * 200, "not " * 2000 + "b"]
)
def test_only_the_deep_item_is_lost(deep: str) -> None:
    (block,) = parse(f"lm x {{\n  a = 1\n  b = {deep}\n  c = 3\n}}\n").blocks
    assert [problem.kind for problem in block.problems] == ["too_deep"]
    assert block.declaration is not None
    assert [node.name.text for node in block.declaration.items or ()] == ["a", "c"]  # type: ignore[union-attr]


def test_a_deep_header_or_value_is_lost_alone() -> None:
    deep = "b" + " + b" * 200
    (block,) = parse(f"metric m(gold: d = {deep}, pred: p) {{ score = 1 }}").blocks
    assert [problem.kind for problem in block.problems] == ["too_deep"]
    assert block.declaration is not None
    assert block.declaration.parameters is None
    assert len(block.declaration.items or ()) == 1


def test_a_declaration_that_is_too_long_is_reported_not_parsed() -> None:
    blocks = parse("lm x { a = [" + "1, " * MAX_TOKENS + "] }\nlm y {}\n").blocks
    assert [problem.kind for problem in blocks[0].problems] == ["too_deep"]
    assert blocks[0].declaration is None
    assert blocks[1].declaration is not None


def test_a_long_line_takes_little_memory() -> None:
    text = "lm x { a = " + "(" * 1_000_000
    (block,) = parse(text).blocks
    assert block.declaration is None or sum(1 for _ in nodes(block.declaration)) < 10
    assert [problem.kind for problem in block.problems] == ["too_deep"]
    assert format_text(text) == text + "\n"


def test_numbers_beyond_a_float_are_reported() -> None:
    for number in ("1e999", "9" * 5_000, "1e999%"):
        (block,) = parse(f"lm x {{ a = {number} }}").blocks
        assert [problem.expected for problem in block.problems] == [("a smaller number",)]
