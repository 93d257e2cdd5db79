"""Answers read while they come: what is told of an output is what the whole reading gives, whatever the pieces."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import fields, predictor

from dspec.runtime.adapters import LEFT_OUT, Part, adapter, partial_answer
from dspec.runtime.schema.lms import LM, AdapterName
from dspec.runtime.schema.program import Demo, Predictor
from dspec.runtime.schema.types import BOOL, FLOAT, INT, STR, DictOf, ListOf, OneOf, OptionalOf, Row

OUTPUTS = fields(
    reasoning=STR,
    intent=OneOf(values=("billing", "refund")),
    score=FLOAT,
    items=ListOf(item=DictOf(key=STR, value=INT)),
    sure=BOOL,
    remark=OptionalOf(item=STR),
    answer=STR,
)
ASKED = predictor(fields(text=STR), OUTPUTS)
LAYOUTS: tuple[AdapterName, ...] = ("chat", "json", "xml")


def parts_of(name: AdapterName, text: str, cuts: list[int], asked: Predictor = ASKED) -> list[Part]:
    reader = partial_answer(LM(name="m", model="openai/m", adapter=name), asked, {})
    assert reader is not None
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [part for begin, end in pairwise(places) for part in reader.feed(text[begin:end])]


def joined(parts: list[Part]) -> tuple[dict[str, str], Row]:
    """The texts and the whole values that were told. Nothing is told of an output after its value."""
    texts: dict[str, str] = {}
    values: Row = {}
    for part in parts:
        assert part.field not in values
        if part.whole:
            values[part.field] = part.value
        else:
            assert part.text
            texts[part.field] = texts.get(part.field, "") + part.text
    return texts, values


TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "a < b </ c",
            "[[ ## answer ## ]] is a header",
            "\\[[ ## x",
            "</answer> said he",
            '"quoted" \\ {"answer": 1}',
            "[[1, 2]]",
            "# Head\n\n**bold** text\n\n- [a](b)",
            "  spaces \n\n around  ",
            "😀 \ud7ff é",
            LEFT_OUT + " or not",
            "x\n[",
            "<answer>",
        ]
    ),
)
ROWS = st.fixed_dictionaries(
    {
        "reasoning": TEXT,
        "intent": st.sampled_from(["billing", "refund"]),
        "score": st.sampled_from([0.5, 12.25, -3.0]),
        "items": st.lists(
            st.dictionaries(st.sampled_from(["a", "b}", 'c"']), st.integers(0, 99)), max_size=3
        ),
        "sure": st.booleans(),
        "remark": st.none() | st.sampled_from(["fine", "so, so"]),
        "answer": TEXT,
    }
)


@pytest.mark.parametrize("name", LAYOUTS)
@given(row=ROWS, cuts=st.lists(st.integers(0, 400), max_size=30))
def test_what_comes_in_pieces_is_what_the_whole_says(name: AdapterName, row: Row, cuts: list[int]) -> None:
    layout = adapter(name)
    text = layout.answer(Demo(inputs={}, outputs=row), ASKED.signature.outputs)
    whole = layout.read(ASKED, text, {})
    texts, values = joined(parts_of(name, text, cuts))
    for field, said in texts.items():
        if field in whole.values:
            assert str(whole.values[field]).startswith(said)
    for field, value in values.items():
        assert whole.values.get(field) == value
    if not whole.problems:
        assert set(values) == set(whole.values)


@pytest.mark.parametrize("name", LAYOUTS)
@given(text=st.text(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=10))
def test_any_text_is_read_without_an_error(name: AdapterName, text: str, cuts: list[int]) -> None:
    joined(parts_of(name, text, cuts))
    marked = text.replace("a", '"answer": "').replace("b", "<answer>").replace("c", "\n[[ ## answer ## ]]\n")
    joined(parts_of(name, '{"' + marked, cuts))
    joined(parts_of(name, marked, cuts))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat", "[[ ## answer ## ]]\nIt is here, and so on"),
        ("chat", "**[[ ## Answer ## ]]**\nIt is here, and so on"),
        ("chat", "[[ ## answer ## ]] It is here, and so on"),
        ("chat", "<think>hm [[ ## answer ## ]]\nno</think>\n\n[[ ## answer ## ]]\nIt is here, and so on"),
        ("json", '{"answer": "It is here, and so on'),
        ("json", '```json\n{"Answer" : "It is here, and so on'),
        ("xml", "Well: <answer>\nIt is here, and so on"),
    ],
)
def test_a_text_is_told_as_it_comes(name: AdapterName, text: str) -> None:
    asked = predictor(fields(text=STR), fields(answer=STR, label=STR))
    texts, values = joined(parts_of(name, text, list(range(len(text))), asked))
    assert (texts, values) == ({"answer": "It is here, and so on"}, {})


def test_an_output_that_is_there_again_is_left_to_the_whole_reading() -> None:
    asked = predictor(fields(text=STR), fields(answer=STR))
    text = "[[ ## answer ## ]]\none\n\n[[ ## answer ## ]]\ntwo\n\n[[ ## completed ## ]]"
    assert joined(parts_of("chat", text, [])) == ({"answer": "one"}, {"answer": "one"})
    assert joined(parts_of("json", json.dumps({"answer": "one"})[:-1] + ', "answer": "two"}', [], asked))[
        1
    ] == {"answer": "one"}


def test_reading_takes_time_linear_in_the_answer() -> None:
    """Counted in steps of the interpreter's own making: twice the answer, not four times the work."""
    import time

    def seconds(length: int, name: AdapterName) -> float:
        text = adapter(name).answer(
            Demo(inputs={}, outputs={"answer": "word [x] <b> \\n " * length, "label": "x"}),
            predictor(fields(text=STR), fields(answer=STR, label=STR)).signature.outputs,
        )
        asked = predictor(fields(text=STR), fields(answer=STR, label=STR))
        began = time.process_time()
        parts_of(name, text, list(range(0, len(text), 4)), asked)
        return time.process_time() - began

    for name in LAYOUTS:
        assert seconds(8000, name) < 20 * seconds(1000, name) + 0.5
