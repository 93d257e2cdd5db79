"""Broken declarations: one problem per fault, in the user's words, and the rest is kept.

`broken.txt` holds the cases, `broken.expected.txt` what is found in them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from dspec_writer import broken_texts, hostile_texts
from grammar_profile import thorough
from hypothesis import given
from snapshot import check_snapshot
from syntax import nodes, without_spans

from dspec.grammar import parse, tokenize
from dspec.grammar.lexemes import ITEM_WORDS, MAX_PROBLEMS
from dspec.grammar.tree import Block, Declaration, Item, Problem, Repeat, Section

HERE = Path(__file__).parent
SAMPLE = (HERE / "sample.dspec").read_text(encoding="utf-8")


def told(problem: Problem, block: Block) -> str:
    start = problem.span.start
    line = block.text.count("\n", 0, start)
    column = start - (block.text.rfind("\n", 0, start) + 1)
    text = f"{line + 1}:{column + 1} {problem.kind} {block.text[slice(*problem.span)]!r}"
    if problem.found != block.text[slice(*problem.span)]:
        text += f" found {problem.found!r}"
    if problem.previous:
        text += f" after {problem.previous!r}"
    if problem.expected:
        text += f": expected {' | '.join(problem.expected)}"
    return text


def kept(item: Item) -> str:
    name = getattr(item, "name", None)
    text = type(item).__name__ + (f" {name.text}" if name else "")
    if isinstance(item, Section | Repeat):
        return f"{text} {{ {'; '.join(map(kept, item.items))} }}"
    return text


def header(declaration: Declaration) -> str:
    text = f"{declaration.keyword.text} {declaration.name.text if declaration.name else '-'}"
    if declaration.parameters is not None:
        text += f"({', '.join(one.name.text for one in declaration.parameters)})"
    return text + (f" = {type(declaration.value).__name__}" if declaration.value else "")


def report(source: str) -> str:
    lines: list[str] = []
    for block in parse(source).blocks:
        lines.append(header(block.declaration) if block.declaration else "nothing")
        lines += [f"  {kept(item)}" for item in (block.declaration and block.declaration.items) or ()]
        lines += [f"  ! {told(problem, block)}" for problem in block.problems]
    return "\n".join(lines)


def test_problems_and_what_survives() -> None:
    cases = (HERE / "broken.txt").read_text(encoding="utf-8").split("=====\n")
    text = "\n=====\n".join(f"{case}-----\n{report(case)}" for case in cases)
    check_snapshot(HERE / "broken.expected.txt", text)


def test_leaving_out_one_token_costs_one_declaration_and_one_problem() -> None:
    whole = parse(SAMPLE).blocks
    trees = Counter(map(str, (without_spans(block.declaration) for block in whole)))
    survivors = faults = several = items = 0
    words = [token for token in tokenize(SAMPLE) if token.kind not in ("space", "newline", "comment")]
    for word in words:
        blocks = parse(SAMPLE[: word.start] + SAMPLE[word.end :]).blocks
        now = Counter(map(str, (without_spans(block.declaration) for block in blocks if not block.problems)))
        survivors += min((trees & now).total(), len(whole) - 1)
        problems = sum(len(block.problems) for block in blocks)
        faults += problems > 0
        several += problems > 1
        items += sum(len(block.declaration.items or ()) for block in blocks if block.declaration)
    assert survivors / (len(words) * (len(whole) - 1)) > 0.99
    assert faults / len(words) > 0.85
    assert several == 0
    total = sum(len(block.declaration.items or ()) for block in whole if block.declaration)
    assert items / (len(words) * total) > 0.98


@pytest.mark.parametrize("word", ITEM_WORDS)
def test_an_items_word_that_is_misspelt_is_one_problem_and_loses_nothing(word: str) -> None:
    items = {"input": "input x: str", "output": "output x: str?", "field": "field x: str = column(\"x\")",
             "assert": "assert f(x) > 0 else \"why\"", "suggest": "suggest x", "let": "let x = y", "until": "until x.y",
             "return": "return x = y, z = 3", "step": "step s = Best(k = 3)", "given": "given x = [1, 2]",
             "expect": "expect x == 1", "gate": "gate score > 0.5"}  # fmt: skip
    right = items[word]
    slips = [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)]
    slips += [word[:at] + word[at + 1 :] for at in range(1, len(word)) if len(word) > 3]
    for slip in set(slips) - set(ITEM_WORDS):
        wrong = right.replace(word, slip, 1)
        for source in (f"module m {{\n  a = 1\n  {wrong}\n  b = 2\n}}", f"module m {{ {wrong}; b = 2 }}"):
            (block,) = parse(source).blocks
            (meant,) = parse(source.replace(wrong, right)).blocks
            assert [problem.kind for problem in block.problems] == ["misspelt"], source
            assert (block.problems[0].found, block.problems[0].expected) == (slip, (word,))
            assert block.declaration
            assert meant.declaration
            assert str(without_spans(block.declaration)) == str(without_spans(meant.declaration))


def test_thirteen_faults_give_thirteen_problems() -> None:
    items = [
        "a =",
        "b 3",
        "c = )",
        "d = f(1",
        "e = [1",
        "input",
        "let x",
        "return",
        "f = 1 2",
        "g = 'x'",
        "@ h = 1",
    ]
    items += ["i = a..b", "j = if a"]
    source = "lm x {\n" + "".join(f"  {item}\n  good = 1\n" for item in items) + "}\n"
    (block,) = parse(source).blocks
    assert len(block.problems) == len(items) == 13
    assert block.declaration is not None
    assert sum(kept(item) == "Setting good" for item in block.declaration.items or ()) == 13


def check_is_sound(text: str) -> None:
    for block in parse(text).blocks:
        assert block.declaration is not None or block.problems
        assert len(block.problems) <= MAX_PROBLEMS
        assert list(block.problems) == sorted(block.problems, key=lambda problem: problem.span)
        for problem in block.problems:
            assert 0 <= problem.span.start <= problem.span.end <= len(block.text)
            assert len(problem.found) <= 40
            assert not {"NAME", "SEP", "HOLE", "LBRACE", "$END"} & set(problem.expected)
            assert (problem.opener is not None) == (problem.kind == "unclosed")
        for node in nodes(block.declaration) if block.declaration else ():
            assert 0 <= node.span.start <= node.span.end <= len(block.text)


@thorough
@given(broken_texts)
def test_damaged_files_never_raise(text: str) -> None:
    check_is_sound(text)


@thorough
@given(hostile_texts)
def test_garbage_never_raises(text: str) -> None:
    check_is_sound(text)
    check_is_sound("lm x {\n  " + text)


def test_every_beginning_of_a_file_can_be_read() -> None:
    for end in range(len(SAMPLE)):
        check_is_sound(SAMPLE[:end])
