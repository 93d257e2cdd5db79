"""The table of functions: its facts, and what each function gives."""

from __future__ import annotations

import time

import pytest
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
    ],
)
def test_gives(function: str, arguments: list[JsonValue], expected: JsonValue) -> None:
    got = value(function, *arguments)
    assert got == pytest.approx(expected) if isinstance(expected, float) else got == expected
    assert isinstance(got, bool) == isinstance(expected, bool)


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
