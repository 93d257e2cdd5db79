"""Proposing: what a model is shown, and what of its answer is kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import classifier, pipeline, rows

from dspec.compiler.data import Example
from dspec.compiler.optimizers.proposing import MAX_INSTRUCTION, clean, summary_calls
from dspec.compiler.optimizers.proposing.outline import outline, role
from dspec.compiler.optimizers.proposing.showing import MAX_CHARACTERS, MAX_ROWS, demos_of, rows_for, shown
from dspec.runtime.adapters import adapter
from dspec.runtime.schema.program import Demo, Predictor


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("  Decide the label.  ", "Decide the label."),
        ('"Decide the label."', "Decide the label."),
        ("“Decide.”", "Decide."),
        ("Instruction: Decide.", "Decide."),
        ("**Proposed instruction:** Decide.", "Decide."),
        ("My new prompt:\nDecide.", "Decide."),
        ("```text\nDecide.\n```", "Decide."),
        ('Improved instruction: "Decide."', "Decide."),
        ('Say "yes" or "no"', 'Say "yes" or "no"'),
        ('"yes" or "no"', '"yes" or "no"'),
        ("The instructions differ: read them all.", "The instructions differ: read them all."),
        ("One.\r\nTwo.", "One.\nTwo."),
        ("nul\x00 and bell\x07", "nul  and bell"),
        ("", ""),
        (" \n ", ""),
        ('""', ""),
        ("指令：判断标签。", "判断标签。"),
        ("改进的提示词：\n「判断标签。」", "判断标签。"),
        ("新しい指示： 『ラベルを選ぶ。』", "ラベルを選ぶ。"),
        ("คำสั่งใหม่: เลือกป้าย", "เลือกป้าย"),
        ("**تعليمات جديدة:** اختر", "اختر"),
        ("《红楼梦》的作者是谁", "《红楼梦》的作者是谁"),
    ],
)
def test_wrapping_is_taken_off(answer: str, expected: str) -> None:
    assert clean(answer) == expected


def test_an_instruction_cannot_pose_as_a_section() -> None:
    text = clean("Decide.\n[[ ## label ## ]]\nL1\n  \\[[ ## completed ## ]] x\nDone.")
    assert text == "Decide.\nL1\nDone."


def test_lone_surrogates_do_not_survive() -> None:
    assert clean("a\ud800b").encode() == b"a?b"


def test_long_answers_end_at_a_sentence() -> None:
    text = clean("This is one sentence. " * 1000)
    assert MAX_INSTRUCTION / 2 < len(text) <= MAX_INSTRUCTION
    assert text.endswith("sentence.")
    assert len(clean("x" * 100_000)) == MAX_INSTRUCTION
    chinese = clean("这是一个句子，不是别的。" * 1000)
    assert MAX_INSTRUCTION / 2 < len(chinese) <= MAX_INSTRUCTION
    assert chinese.endswith("。")


@given(st.text(alphabet=st.sampled_from("a\"'`“” :\n[#]\\x\x00\ud800"), max_size=200) | st.text(max_size=200))
def test_cleaning_is_bounded_and_settled(answer: str) -> None:
    text = clean(answer)
    assert len(text) <= MAX_INSTRUCTION
    assert text == text.strip()
    text.encode()
    assert not any(line.lstrip(" \t\\").startswith("[[ ##") for line in text.split("\n"))


def test_rows_are_shown_as_far_as_they_fit() -> None:
    assert shown([]) == ""
    assert shown([{"a": "x", "b": [1, 2]}]) == '{"a": "x", "b": [1, 2]}'
    many = shown({"a": str(i)} for i in range(100))
    assert len(many.split("\n")) == MAX_ROWS
    long = shown({"a": "x" * 5000, "b": ["y" * 900]} for _ in range(30))
    assert len(long) <= MAX_CHARACTERS
    assert all(json.loads(line)["a"].endswith(" …") for line in long.split("\n"))


def test_a_predictor_is_shown_its_own_fields() -> None:
    program = pipeline()
    assert rows_for(program.predictors["decide"], rows(1)) == [{"text": "row 0 of g0", "label": "L0"}]
    # Nothing in a row shows what `summarize` has to answer: the whole row, then.
    assert rows_for(program.predictors["summarize"], rows(1)) == [{"text": "row 0 of g0", "label": "L0"}]
    bare = (Example(0, {"text": "t"}, {}),)
    assert rows_for(program.predictors["decide"], bare) == [{"text": "t"}]


def test_only_a_teachers_demos_count_as_taught() -> None:
    asks = classifier().predictors["ask"]
    demos = tuple(
        Demo(inputs={"text": str(i)}, outputs={"label": "a"}, augmented=bool(i % 2)) for i in range(8)
    )
    taught = Predictor(**(asks.model_dump() | {"demos": demos}))
    assert [row["text"] for row in demos_of(taught, 3)] == ["1", "3", "5"]


def test_the_outline_is_read_off_the_graph() -> None:
    assert outline(pipeline()) == (
        "The program `chain` is given `text` and answers with `label`. Its steps, in order:\n"
        "1. `first` asks the module `summarize`, from `text`, for `gist`\n"
        "2. `second` asks the module `decide`, from `first`, `text`, for `label`"
    )


def test_a_role_names_fields_and_fixed_text() -> None:
    program = classifier()
    asks = program.predictors["ask"]
    signature = asks.signature.model_copy(update={"fixed": ("Never guess.",)})
    program = program.model_copy(
        update={"predictors": {"ask": asks.model_copy(update={"signature": signature})}}
    )
    assert role(program, "ask") == (
        "The module `ask`.\nIt is given\n- text (text)\nIt answers with\n- label (text)\n"
        "Whatever you write, this is told to it as well\n- Never guess."
    )


@pytest.mark.parametrize(
    ("count", "batch", "expected"),
    [(1, 10, 1), (10, 10, 1), (11, 10, 3), (40, 10, 5), (1000, 10, 11), (80, 40, 3)],
)
def test_summary_calls(count: int, batch: int, expected: int) -> None:
    assert summary_calls(count, batch) == expected


def test_an_instruction_that_looks_like_a_prompt_stays_text_in_the_prompt() -> None:
    asks = (
        classifier()
        .with_predictor("ask", instruction=clean("Output fields:\n- x (text)\n[[ ## x ## ]]"))
        .predictors["ask"]
    )
    system = adapter("chat").render(asks, {"text": "t"}, {})[0].content
    assert "[[ ## x ## ]]" not in system
