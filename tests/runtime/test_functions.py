"""The table of functions: its facts, and what each function gives."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import call, const

from dspec.runtime.errors import EvaluationError
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.functions import FUNCTIONS, Marker, accepts, valid_pattern
from dspec.runtime.values.interpret import evaluate


def value(function: str, *arguments: JsonValue, **named: JsonValue) -> JsonValue:
    given = (const(argument) for argument in arguments)
    return evaluate(call(function, *given, **{name: const(item) for name, item in named.items()}), {})


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("len", ["héé"], 3),
        ("len", [[1, 2]], 2),
        ("len", [{"a": 1}], 1),
        ("lower", ["ÄB"], "äb"),
        ("upper", ["ab"], "AB"),
        ("strip", [" a\n"], "a"),
        ("str", [1.5], "1.5"),
        ("str", ["a"], "a"),
        ("str", [[True, None]], "[true, null]"),
        ("contains", ["abc", "b"], True),
        ("contains", [[1, "a"], True], False),
        ("contains", [{"a": 1}, "a"], True),
        ("startswith", ["abc", "ab"], True),
        ("endswith", ["abc", "ab"], False),
        ("split", [" a  b "], ["a", "b"]),
        ("split", ["a,b,", ","], ["a", "b", ""]),
        ("join", [["a", "b"]], "a, b"),
        ("join", [["a", "b"], ""], "ab"),
        ("round", [2.5], 2.0),
        ("round", [2.345, 1], 2.3),
        ("abs", [-3], 3),
        ("min", [3, 1.5], 1.5),
        ("max", [[3, 4]], 4),
        ("sum", [[1, 2, True]], 4),
        ("sum", [[0.1] * 10], 1.0),
        ("any", [[False, True]], True),
        ("all", [[]], True),
        ("unique", [[1, True, 1.0, "a", [1], [1], "a"]], [1, True, "a", [1]]),
        ("matches", ["order 17", r"\b\d+\b"], True),
        ("regex", ["order", r"^\d"], False),
        ("normalize_text", ["The  Cat, a dog!"], "cat dog"),
        ("exact_match", ["The cat.", "cat"], True),
        ("exact_match", [["dog", "the cat"], "Cat"], True),
        ("exact_match", [3, 3.0], True),
        ("exact_match", [1, True], False),
        ("exact_match", ["cat", None], False),
        ("answer_exact_match", ["a cat", "Cat!"], True),
        ("answer_exact_match", ["black cat", "cat", 0.6], True),
        ("answer_exact_match", ["black cat", "cat", 0.7], False),
        ("answer_passage_match", ["New York", ["He lives in New York City."]], True),
        ("answer_passage_match", ["York City", ["Yorkcity"]], False),
        ("answer_passage_match", [["x", "the"], ["y"]], False),
        ("f1", ["black cat", "the cat"], 2 / 3),
        ("f1", [["dog", "cat"], "cat"], 1.0),
        ("f1", ["", ""], 0.0),
        ("close", [1.0, 1.05, 0.1], True),
        ("close", [1, 2], False),
        ("close", [None, 1.0], False),
        ("close", [None, None], True),
        ("json_diff", [{"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]}], 2 / 3),
        ("json_diff", [{"a": 1}, {"b": 1}], 0.0),
        ("json_diff", [{}, {}], 1.0),
        ("json_diff", [{"a": True}, {"a": 1}], 0.0),
        ("mean", [[1, 2, True, 0.0]], 1.0),
        ("reciprocal_rank", [["b", "c"], ["a", "c", "b"]], 0.5),
        ("reciprocal_rank", [["x"], ["a"]], 0.0),
        ("reciprocal_rank", [[], []], 0.0),
        ("reciprocal_rank", [[True], [1, True]], 0.5),
        ("reciprocal_rank", [[1], [True, 1.0]], 0.5),
        ("precision_at", [["a", "b"], ["a", "x", "b"], 2], 0.5),
        ("precision_at", [["a"], ["a"], 4], 0.25),
        ("precision_at", [["a"], ["a", "a"], 2], 0.5),
        ("recall_at", [["a", "b", "b"], ["a", "x", "b"], 2], 0.5),
        ("recall_at", [["a", "b"], ["a", "x", "b"], 3], 1.0),
        ("recall_at", [[], ["a"], 3], 0.0),
        # As scikit-learn's `ndcg_score` has it.
        ("ndcg", [{"1": 3, "2": 2, "3": 3, "4": 0, "5": 1, "6": 2}, list("123456")], 0.9608081943360617),
        ("ndcg", [{"1": 3, "2": 2, "3": 3, "4": 0, "5": 1, "6": 2}, list("641325"), 3], 0.5939462358400547),
        ("ndcg", [["a", "c"], ["a", "b", "c"]], 1.5 / (1 + 1 / math.log2(3))),
        ("ndcg", [["a", "c"], ["b", "a", "c"], 2], (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        ("ndcg", [["a"], ["a", "a"]], 1.0),
        ("ndcg", [{}, ["a"]], 0.0),
        ("ndcg", [[{"id": 1}], [{"id": 2}, {"id": 1.0}]], 1 / math.log2(3)),
    ],
)
def test_gives(function: str, arguments: list[JsonValue], expected: JsonValue) -> None:
    got = value(function, *arguments)
    assert got == pytest.approx(expected) if isinstance(expected, float) else got == expected
    assert isinstance(got, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is $1,234.50.", 1234.5),
        ("-5", -5.0),
        ("−7 °C", -7.0),
        ("-$3.20", -3.2),
        ("**42**", 42.0),
        ("\\boxed{12}", 12.0),
        ("#### 1,000", 1000.0),
        ("(7)", 7.0),
        ("x = .5", 0.5),
        ("1e3", 1000.0),
        ("1'234.5", 1234.5),
        ("12,34,567.8", 1234567.8),
        ("1\u202f000\u202f000", 1e6),
        ("٣٤", 34.0),
        ("７２ km", 72.0),
        ("a, 5, 6.", 6.0),
        ("version v2 of the 3rd kind has 4 parts, as x86 has", 4.0),
        ("A5", None),
        ("no number", None),
        ("", None),
        ("5k", None),
        ("5 million", None),
        ("85%", None),
        ("85\\%", None),
        ("1,5", None),
        ("1,2345", None),
        ("1,234 567", None),
        ("1 000 000", None),
        ("3/4", None),
        ("2½", None),
        ("1.2.3", None),
        ("5–10", None),
        ("10:30", None),
        ("2024-01-02", None),
        ("3 apples on 2024-01-02", None),
        ("9" * 301, None),
    ],
)
def test_a_number_in_a_text(text: str, expected: float | None) -> None:
    assert value("number_in", text) == expected


def test_which_number_and_whose_mark() -> None:
    assert value("number_in", "first 1, then 2", which="first") == 1.0
    assert value("number_in", "1 or 2", which="only") is None
    assert value("number_in", "1, that is 1.0", which="only") == 1.0
    assert value("number_in", "5k, then 2", which="first") is None
    assert value("number_in", "1.234,50 €", mark=",") == 1234.5
    assert value("number_in", "3,14", mark=",") == 3.14
    assert value("number_in", "1.5", mark=",") is None


@given(st.floats(-1e15, 1e15).map(lambda number: round(number, 3)), st.sampled_from([".", ","]))
def test_a_number_that_is_written_is_read(number: float, mark: str) -> None:
    written = f"{number:,.3f}"
    if mark == ",":
        written = written.translate(str.maketrans(",.", ".,"))
    assert value("number_in", f"So it is {written} kg.", mark=mark) == number


@given(st.text(alphabet="0123456789.,:/'-–_ eE%k$v\u00a0½٣", max_size=40))
def test_any_text_has_a_number_or_none(text: str) -> None:
    for which in ("first", "last", "only"):
        found = value("number_in", text, which=which)
        assert found is None or (isinstance(found, float) and math.isfinite(found))


_ITEMS = st.lists(st.integers(0, 8), max_size=8)


@given(_ITEMS, st.lists(st.integers(0, 8), max_size=12, unique=True), st.integers(1, 12))
def test_rankings_are_measured_by_their_definitions(gold: list[int], ranking: list[int], k: int) -> None:
    relevant = [item in gold for item in ranking]
    hits = sum(relevant[:k])
    assert value("precision_at", gold, ranking, k) == hits / k
    assert value("recall_at", gold, ranking, k) == (hits / len(set(gold)) if gold else 0.0)
    first = relevant.index(True) + 1 if True in relevant else 0
    assert value("reciprocal_rank", gold, ranking) == (1 / first if first else 0.0)
    gains = [hit / math.log2(place + 2) for place, hit in enumerate(relevant[:k])]
    best = [1 / math.log2(place + 2) for place in range(min(k, len(set(gold))))]
    assert value("ndcg", gold, ranking, k) == pytest.approx(sum(gains) / sum(best) if gold else 0.0)


def test_accents_stay_as_marks_when_text_is_normalised() -> None:
    assert value("exact_match", "cafe\u0301", "CAF\u00c9") is True
    assert value("exact_match", "cafe", "café") is False


def test_a_tokens_run_ends_at_its_bounds() -> None:
    assert value("answer_passage_match", "art", ["state of the art"]) is True
    assert value("answer_passage_match", "art", ["a party"]) is False
    assert value("answer_passage_match", "東京", ["the city of 東京 today"]) is True


def test_arguments_by_name_and_defaults() -> None:
    assert value("close", gold=1.0, pred=1.4, tolerance=0.5) is True
    assert value("join", ["a", "b"], separator="-") == "a-b"


@pytest.mark.parametrize(
    ("function", "arguments", "named", "message"),
    [
        ("gone", [], {}, "there is no function `gone`"),
        ("lower", [None], {}, "lower: `text` takes str, got null"),
        ("lower", [], {}, "lower: `text` is missing"),
        ("lower", ["a", "b"], {}, "lower: takes 1 arguments, got 2"),
        ("lower", ["a"], {"text": "b"}, "lower: `text` is given twice"),
        ("lower", ["a"], {"case": 1}, "lower: there is no parameter `case`"),
        ("abs", [True], {}, "abs: `number` takes number, got true"),
        ("round", [1.5, 0.5], {}, "round: `digits` takes int, got 0.5"),
        ("max", [], {}, "max: `numbers` is missing"),
        ("max", [[]], {}, "max: needs at least one number"),
        ("max", ["a"], {}, 'max: expected list of numbers, got "a"'),
        ("any", [[1]], {}, "any: `items` takes list[bool], got [1]"),
        ("join", [["a", 1]], {}, 'join: `items` takes list[str], got ["a", 1]'),
        ("contains", ["abc", 1], {}, "contains: looks for text in text, got 1"),
        ("matches", ["a", "("], {}, "matches: not a pattern that can be matched"),
        ("matches", ["a", "(?=a)"], {}, "matches: not a pattern that can be matched"),
        ("matches", ["a", "a" * 1001], {}, "matches: the pattern is longer than 1000 characters"),
        ("f1", [3, "a"], {}, "f1: `gold` takes text or list of texts, got 3"),
        ("mean", [[]], {}, "mean: needs at least one number"),
        ("precision_at", [["a"], ["a"], 0], {}, "precision_at: `k` is at least 1, and this is 0"),
        ("ndcg", [{"a": -1}, ["a"]], {}, "ndcg: a gain is a number from 0 on"),
        ("ndcg", [{"a": "b"}, ["a"]], {}, "ndcg: `gold` takes list, or dict of numbers, got"),
        ("number_in", ["5", "middle"], {}, "number_in: `which` is"),
    ],
)
def test_refuses(
    function: str, arguments: list[JsonValue], named: dict[str, JsonValue], message: str
) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(function, *arguments, **named)
    assert caught.value.message.startswith(message)


def test_a_hostile_pattern_cannot_hang() -> None:
    began = time.process_time()
    assert value("matches", "a" * 200_000 + "!", "^(a+)+$") is False
    assert time.process_time() - began < 1.0


def test_valid_pattern_says_why_not() -> None:
    valid_pattern(r"^\d{3}$")
    with pytest.raises(ValueError, match="unclosed group"):
        valid_pattern("(a")


def test_the_table_is_consistent() -> None:
    for name, function in FUNCTIONS.items():
        assert function.name == name
        assert function.doc.endswith(".")
        names = [parameter.name for parameter in function.parameters]
        assert len(set(names)) == len(names)
        required = [parameter.required for parameter in function.parameters]
        assert required == sorted(required, reverse=True), "required parameters come first"
        for parameter in function.parameters:
            assert parameter.required or accepts(parameter.kind, parameter.default)
        if function.result is Marker.SAME:
            assert function.parameters[0].kind is Marker.ANY_LIST
