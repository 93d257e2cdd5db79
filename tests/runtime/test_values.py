"""Checking JSON values against types, and reading cells."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OptionalOf,
    RecordRef,
    Scalar,
    Type,
)
from dspec.runtime.values.values import coerce, from_text

DATE, MOMENT = Scalar(name="date"), Scalar(name="datetime")
COLOUR = OneOf(values=("red", "green"))
RECORDS = {
    "Line": Record(
        name="Line",
        fields=(
            FieldSpec(name="sku", type=STR),
            FieldSpec(name="qty", type=FLOAT, has_default=True, default=1.0),
            FieldSpec(name="note", type=OptionalOf(item=STR)),
        ),
    )
}
LINES = ListOf(item=RecordRef(name="Line"))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("x", STR, "x"),
        (3, INT, 3),
        (3.0, INT, 3),
        (3, FLOAT, 3.0),
        (True, BOOL, True),
        ("2024-02-29", DATE, "2024-02-29"),
        ("20240229", DATE, "2024-02-29"),
        ("2024-02-29T10:00:00Z", MOMENT, "2024-02-29T10:00:00+00:00"),
        (None, OptionalOf(item=STR), None),
        ("red", COLOUR, "red"),
        ({"a": [1, None]}, ANY, {"a": [1, None]}),
        ({"1": 2}, DictOf(key=INT, value=FLOAT), {"1": 2.0}),
        ([{"sku": "a"}], LINES, [{"sku": "a", "qty": 1.0, "note": None}]),
    ],
)
def test_a_value_that_fits(value: JsonValue, kind: Type, expected: JsonValue) -> None:
    got = coerce(value, kind, RECORDS)
    assert json.dumps(got) == json.dumps(expected)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (3, STR, "expected text, got 3"),
        ("3", INT, 'expected a whole number, got "3"'),
        (3.5, INT, "expected a whole number, got 3.5"),
        (True, INT, "expected a whole number, got true"),
        (False, FLOAT, "expected a number, got false"),
        (float("nan"), FLOAT, "expected a number, got NaN"),
        (10**400, FLOAT, "expected a number, got a very large number"),
        (1, BOOL, "expected true or false, got 1"),
        ("29.2.2024", DATE, 'expected a date as YYYY-MM-DD, got "29.2.2024"'),
        ("blue", COLOUR, 'expected one of "red", "green", got "blue"'),
        ("red ", COLOUR, 'expected one of "red", "green", got "red "'),
        (None, STR, "expected text, got null"),
        (2, OptionalOf(item=STR), "expected text, got 2"),
        ([1, "x"], ListOf(item=INT), '[1]: expected a whole number, got "x"'),
        ({"x": 1}, DictOf(key=INT, value=INT), 'key "x": expected a whole number, got "x"'),
        ([{"sku": "a"}, {"sku": 1}], LINES, "[1].sku: expected text, got 1"),
        ([{}], LINES, "[0]: Line lacks the field sku"),
        ([{"sku": "a", "colour": 1}], LINES, '[0]: Line has no field "colour"'),
        ("a", LINES, 'expected a JSON list, got "a"'),
        ({}, RecordRef(name="Gone"), "there is no record Gone"),
    ],
)
def test_a_value_that_does_not_fit(value: JsonValue, kind: Type, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        coerce(value, kind, RECORDS)
    assert str(caught.value) == message


def test_a_long_union_is_cut_in_messages() -> None:
    many = OneOf(values=tuple(f"v{index}" for index in range(77)))
    with pytest.raises(ValueError, match=r'"v7", … \(77 in all\), got "x"'):
        coerce("x", many, {})


def test_depth_is_bounded() -> None:
    kind: Type = INT
    value: JsonValue = 1
    for _ in range(150):
        kind, value = ListOf(item=kind), [value]
    with pytest.raises(ValueError, match="nested deeper than 100"):
        coerce(value, kind, {})
    with pytest.raises(ValueError, match="nested deeper than 100"):
        coerce(value, ANY, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.recursive(
    st.sampled_from([STR, INT, FLOAT, BOOL, DATE, COLOUR, ANY, RecordRef(name="Line")]),
    lambda inner: (
        inner.map(lambda kind: ListOf(item=kind))
        | inner.map(lambda kind: OptionalOf(item=kind))
        | inner.map(lambda kind: DictOf(key=STR, value=kind))
    ),
    max_leaves=3,
)


@settings(max_examples=200, deadline=None)
@given(value=JSON, kind=KINDS)
def test_coercing_twice_changes_nothing_more(value: JsonValue, kind: Type) -> None:
    try:
        once = coerce(value, kind, RECORDS)
    except ValueError:
        return
    assert json.dumps(coerce(once, kind, RECORDS)) == json.dumps(once)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (" x ", STR, " x "),
        (" 7 ", INT, 7),
        ("7.0", INT, 7),
        ("1e3", FLOAT, 1000.0),
        (".5", FLOAT, 0.5),
        ("Yes", BOOL, True),
        ("0", BOOL, False),
        ("", OptionalOf(item=INT), None),
        (" red", COLOUR, "red"),
        ("[1, 2]", ListOf(item=INT), [1, 2]),
        ('{"sku": "a"}', RecordRef(name="Line"), {"sku": "a", "qty": 1.0, "note": None}),
        ("2024-01-02", DATE, "2024-01-02"),
    ],
)
def test_a_cell_that_fits(text: str, kind: Type, expected: JsonValue) -> None:
    assert from_text(text, kind, RECORDS) == expected


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", INT, 'expected a whole number, got ""'),
        ("7 kg", INT, 'expected a whole number, got "7 kg"'),
        ("1_000", INT, 'expected a whole number, got "1_000"'),
        ("9" * 5000, INT, "expected a whole number"),
        ("nan", FLOAT, 'expected a number, got "nan"'),
        ("1e999", FLOAT, "expected a number, got Infinity"),
        ("maybe", BOOL, 'expected true or false, got "maybe"'),
        ("a, b", ListOf(item=STR), 'expected a JSON list, got "a, b"'),
        ("[1]", ListOf(item=STR), "[0]: expected text, got 1"),
    ],
)
def test_a_cell_that_does_not_fit(text: str, kind: Type, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        from_text(text, kind, RECORDS)
    assert message in str(caught.value)


def test_half_a_surrogate_is_no_character() -> None:
    assert coerce("a\ud800b", STR, {}) == "a\ufffdb"
    assert coerce("\ud83d\ude00 é", STR, {}) == "\U0001f600 é"
    held: JsonValue = {"\udc00": ["\ud800", 1, None]}
    assert coerce(held, ANY, {}) == {"\ufffd": ["\ufffd", 1, None]}
    assert coerce(held, DictOf(key=STR, value=ANY), {}) == {"\ufffd": ["\ufffd", 1, None]}
