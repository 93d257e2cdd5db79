"""Typed values from what models write: lenient where there is one meaning, an error where there are two."""

from __future__ import annotations

import contextlib
import json
import time

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
    TupleOf,
    Type,
)
from dspec.runtime.values.reading import adapt, read
from dspec.runtime.values.repair import mend

DATE = Scalar(name="date")
INTENT = OneOf(values=("card_lost", "card", "top up", "other"))
RECORDS = {
    "Line": Record(name="Line", fields=(FieldSpec(name="sku", type=STR), FieldSpec(name="qty", type=FLOAT)))
}
LINE = RecordRef(name="Line")
TEXTS = ListOf(item=STR)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("as it is [x]", STR, "as it is [x]"),
        ("1_000", INT, 1000),
        ("1,234,567", INT, 1234567),
        ("`7`.", INT, 7),
        ("3.0", INT, 3),
        ("12 kg", FLOAT, 12.0),
        ("$3.50", FLOAT, 3.5),
        ("-$2", FLOAT, -2.0),
        ("1.5e-3", FLOAT, 0.0015),
        ("**Yes.**", BOOL, True),
        ("FALSE", BOOL, False),
        ("card_lost", INTENT, "card_lost"),
        ('"Card Lost".', INTENT, "card_lost"),
        ("top-up", INTENT, "top up"),
        ("The intent is card_lost.", INTENT, "card_lost"),
        ("n/a", OptionalOf(item=INT), None),
        ("None", OptionalOf(item=STR), None),
        ("5", OptionalOf(item=INT), 5),
        ('["a", "b"]', TEXTS, ["a", "b"]),
        ("```json\n['a',\n 'b',]\n```", TEXTS, ["a", "b"]),
        ('Here you are: ["a"]', TEXTS, ["a"]),
        ("- a\n- b [1]", TEXTS, ["a", "b [1]"]),
        ("The parts are:\n1. a\n   and more\n2. b", TEXTS, ["a\nand more", "b"]),
        ("Paris\nRome", TEXTS, ["Paris", "Rome"]),
        ("Paris", TEXTS, ["Paris"]),
        ("[1] Paris", TEXTS, ["[1] Paris"]),
        ("none", TEXTS, []),
        ("[]", TEXTS, []),
        ("1, 2", ListOf(item=INT), [1, 2]),
        ("card, top up", ListOf(item=INTENT), ["card", "top up"]),
        ('{"sku": "a", "qty": "2 kg"}', LINE, {"sku": "a", "qty": 2.0}),
        (r"""{sku: 'it\'s "so"', 'qty': 2,}""", DictOf(key=STR, value=ANY), {"sku": 'it\'s "so"', "qty": 2}),
        (r'{"sku": "\(x\)", "qty": 1}', LINE, {"sku": r"\(x\)", "qty": 1.0}),
        ('{SKU: "a", Qty: 2, colour: "red"}', LINE, {"sku": "a", "qty": 2.0}),
        ('Sure:\n{"sku": "a\nb", "qty": "1"', LINE, {"sku": "a\nb", "qty": 1.0}),
        ('{"x": [1, True, None]}', ANY, '{"x": [1, True, None]}'),
        ("[1, 2]", ANY, [1, 2]),
        ("2024-03-01T00:00:00", DATE, "2024-03-01"),
    ],
)
def test_lenient(text: str, kind: Type, expected: JsonValue) -> None:
    assert read(text, kind, RECORDS).value == expected


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("3.5", INT, "expected a whole number"),
        ("3 million", FLOAT, "expected a number"),
        ("5k", FLOAT, "expected a number"),
        ("85%", FLOAT, "expected a number"),
        ("1,5", FLOAT, "expected a number"),
        ("4 or 5", INT, "expected a whole number"),
        ("about 5", INT, "expected a whole number"),
        ("perhaps", BOOL, 'expected true or false, got "perhaps"'),
        ("card, other", INTENT, "expected one of"),
        ("not card_lost", INTENT, "expected one of"),
        ("card or something", INTENT, "expected one of"),
        ("x" * 100 + " other", INTENT, "expected one of"),
        ("a, b", TEXTS, "expected a JSON list"),
        ("null", STR, None),
        ("{sku: 'it''s', qty: 2}", LINE, "expected a JSON object for Line"),
        ('{"sku": "a", "qty": 1 "x": 2}', LINE, "expected a JSON object for Line"),
        ('["a", "b', TEXTS, "expected a JSON list"),
        ('{"sku": "a"}', LINE, "Line lacks the field qty"),
        (
            '[{"sku": "a", "qty": 1}, {"sku": "b", "qty": "many"}]',
            ListOf(item=LINE),
            "[1].qty: expected a number",
        ),
        ("March 1st", DATE, "expected a date"),
        ("5", OptionalOf(item=BOOL), "expected true or false"),
    ],
)
def test_never_guessed(text: str, kind: Type, message: str | None) -> None:
    if message is None:
        assert read(text, kind, RECORDS).value == text
        return
    with pytest.raises(ValueError) as caught:
        read(text, kind, RECORDS)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("5", INT, 5),
        ("true", BOOL, True),
        ("card", INTENT, "card"),
        ("null", OptionalOf(item=INT), None),
        ('["a"]', TEXTS, ["a"]),
        ("free text", STR, "free text"),
    ],
)
def test_strict_takes_exact_values(text: str, kind: Type, expected: JsonValue) -> None:
    assert read(text, kind, RECORDS, strict=True).value == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("5 kg", INT),
        ("Yes", BOOL),
        ("Card", INTENT),
        ("- a", TEXTS),
        ("['a']", TEXTS),
        ("none", OptionalOf(item=INT)),
    ],
)
def test_strict_takes_nothing_else(text: str, kind: Type) -> None:
    with pytest.raises(ValueError, match="expected"):
        read(text, kind, RECORDS, strict=True)


def test_json_values_are_adapted_without_passing_through_text() -> None:
    assert adapt("5", ANY, {}).value == "5"
    assert adapt(5, STR, {}).value == "5"
    assert adapt(True, STR, {}).value == "true"
    assert adapt("5", INT, {}).value == 5
    with pytest.raises(ValueError, match="expected a whole number"):
        adapt("5", INT, {}, strict=True)


@pytest.mark.parametrize(
    "text",
    [
        'lorem ipsum { " ' * 60_000,
        "{" * 900_000,
        "[" * 900_000,
        '{"a": ' * 160_000,
        "/*" * 400_000 + "{",
        "“" * 400_000 + "{",
        "'" * 400_000,
        "\\" * 900_000 + "[[",
        "[ " * 400_000,
        "{a:" * 60_000,
        " " * 900_000 + "x",
        "[1" + "," * 190_000,
        '{"' + "\\" * 190_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    began = time.process_time()
    for kind in (LINE, TEXTS, INT, BOOL, INTENT):
        with contextlib.suppress(ValueError):
            read(text, kind, RECORDS)
    assert time.process_time() - began < 4.0


def test_a_text_beyond_the_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        read("x" * 1_000_001, STR, {})


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]\":,'\\ab1\n“”/*# ", max_size=60))
def test_mending_gives_json_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        json.dumps(mend(text).value, allow_nan=False)


LATIN = st.text(st.characters(max_codepoint=0x2FF), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(LATIN, LATIN | st.integers() | st.none(), max_size=3))
def test_python_literals_are_read_like_json(value: dict[str, JsonValue]) -> None:
    assert mend(repr(value)).value == value


PAIRS = ListOf(item=TupleOf(items=(INT, INT)))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("- [1,2]\n- [3,4]", PAIRS, [[1, 2], [3, 4]]),
        ("1. [1, 2]\n2. [3, 4]", PAIRS, [[1, 2], [3, 4]]),
        ("The pairs:\n- [1,2]\n- [3,4]", PAIRS, [[1, 2], [3, 4]]),
        ("- [1,2]", PAIRS, [[1, 2]]),
        ("- [[1,2],[3,4]]", PAIRS, [[1, 2], [3, 4]]),
        ("- [1,2]\n- [3]", ListOf(item=ListOf(item=INT)), [[1, 2], [3]]),
        ('- {"a": 1}\n- {"b": 2}', ListOf(item=DictOf(key=STR, value=INT)), [{"a": 1}, {"b": 2}]),
    ],
)
def test_items_that_are_lists_themselves_may_stand_as_bullets(
    text: str, kind: Type, value: JsonValue
) -> None:
    assert read(text, kind, {}).value == value


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("- [1,2]\n- [3]", PAIRS, r"^\[1\]: expected a JSON list of 2 values, got \[3\]"),
        ("- [1,2]\nor\n- [3,4]", PAIRS, "expected"),
        ("[[1,2]]\n[[3,4]]", PAIRS, "more than one"),
        ('- ["a"]\n- ["b"]', ListOf(item=TEXTS), "more than one"),
    ],
)
def test_lists_in_a_row_that_may_be_two_answers_are_none(text: str, kind: Type, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text, kind, {})
