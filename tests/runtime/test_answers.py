"""Awkward answers, from the table in `answers.txt`: read rightly, known to be a guess, or refused; and never invented.

A value's every character comes from the answer, in its order, and from its place; what was done besides has a name.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import get_args

import pytest
from answers import AwkwardAnswer, awkward, same
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import fields, predictor

from dspec.runtime.adapters import Reading, adapter
from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import Demo, FieldSpec, Predictor
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
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Row,
    Scalar,
    TupleOf,
    Type,
)
from dspec.runtime.values.phrases import fold
from dspec.runtime.values.reading import Read, read
from dspec.runtime.values.repair import strict_json

ANSWERS, RECORDS = awkward()


def asked(case: AwkwardAnswer) -> Predictor:
    return predictor(fields(question=STR), case.outputs)


def reading_of(case: AwkwardAnswer, answer: str | None = None) -> Reading:
    cut = "was cut off" if case.cut else ""
    text = case.answer if answer is None else answer
    return adapter(case.adapter).read(asked(case), text, RECORDS, cut=cut)


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_the_table(case: AwkwardAnswer) -> None:
    reading = reading_of(case)
    values = None if reading.problems else reading.values
    assert case.holds(values), (values, reading.problems)
    if values is not None:
        assert bool(reading.guessed) is (case.verdict == "=~")
        assert not reading.guessed or reading.notes


def test_the_table_is_as_large_as_it_should_be() -> None:
    verdicts = [case.verdict for case in ANSWERS]
    assert len(verdicts) >= 600
    assert min(verdicts.count("=>"), verdicts.count("=!")) >= 200


def test_messages_are_true() -> None:
    """They go back to the model."""
    lines = FieldSpec(name="out", type=ListOf(item=RecordRef(name="Line")))
    told = {
        '{"sku": "a"}': "Line lacks the field qty",
        '[{"sku": "a", "qty": 1}, {"sku": "b"}]': "[1]: Line lacks the field qty",
        "[1 2]": 'expected a JSON list, got "[1 2]": two values with nothing between them',
        '{"sku": "a", "qty": 1} or {"sku": "b", "qty": 2}': "which holds more than one",
        'Not {"sku": "a", "qty": 1}': "with words around it",
        '{"sku": "a", "sku": "b", "qty": 1}': "the member `sku` is there twice",
    }
    for text, message in told.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            read(text, lines.type, RECORDS)


# Reading never invents -----------------------------------------------------------------------------

KINDS: tuple[Type, ...] = (
    INT,
    FLOAT,
    BOOL,
    STR,
    Scalar(name="date"),
    OneOf(values=("spam", "ham", "card_lost")),
    OptionalOf(item=INT),
    ListOf(item=INT),
    ListOf(item=FLOAT),
    ListOf(item=STR),
    ListOf(item=OneOf(values=("spam", "ham"))),
    RecordRef(name="Line"),
    RecordRef(name="Person"),
    RecordRef(name="Doc"),
    ListOf(item=RecordRef(name="Line")),
    DictOf(key=STR, value=INT),
    OneOfNumbers(values=(1, 2, 3)),
    TupleOf(items=(STR, INT)),
    OneOfRecords(tag="kind", records=("Card", "Cash")),
)
PIECES = [case.text for case in ANSWERS if not case.whole and not case.cut]
BITS = st.sampled_from(
    [
        *"{}[]\":,'\\ab12.-\n ",
        "“",
        "”",
        "- ",
        "// ",
        "# ",
        "/*",
        "*/",
        "not ",
        " or ",
        '"sku"',
        '"qty"',
        "```",
        "true",
        "1.10",
    ]
)


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """An answer of the table, with some of its characters taken out, put in, or said twice; or bits of answers."""
    if draw(st.integers(0, 3)) == 0:
        return "".join(draw(st.lists(BITS, max_size=25)))
    text = draw(st.sampled_from(PIECES))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 8)))
        middle = draw(st.sampled_from(["", "", text[start:end] * 2]) | BITS)
        text = text[:start] + middle + text[end:]
    return text


def seen(text: str) -> str:
    """The text as a reader takes it: escapes are what they stand for, blanks are blanks."""

    def decoded(match: re.Match[str]) -> str:
        piece = match[0]
        if len(piece) > 3:
            return chr(int(piece[2:], 16))
        return {"n": " ", "t": " ", "r": " ", "b": " ", "f": " "}.get(piece[1], piece[1])

    return " ".join(
        re.sub(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", decoded, text, flags=re.DOTALL).split()
    )


def numbers(text: str) -> set[float]:
    plain = re.sub(r"(?<=\d)[,_](?=\d)", "", text.replace("−", "-"))
    unmarked = re.sub(r"^\s*[-+]\s+", "", plain, flags=re.MULTILINE)
    views = f"{plain} {text} {unmarked}"
    spellings = re.findall(r"[-+]?[$€£¥]?\s?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", views)
    return {float(re.sub(r"[$€£¥\s]", "", one)) for one in spellings}


def stands_in(value: JsonValue, text: str) -> bool:
    """Whether a leaf is there to be seen."""
    match value:
        case None:
            return True
        case bool():
            words = ("true", "yes", "y", "1") if value else ("false", "no", "n", "0")
            return any(word in text.casefold() for word in words)
        case int() | float():
            return float(value) in numbers(text) or float(value) in numbers(text.replace(",", " "))
        case str():
            given = " ".join(value.split())
            views = (text, seen(text), " ".join(text.split()), unicodedata.normalize("NFKC", text))
            bulleted = re.sub(r"\n\s+", " ", text)
            return (
                any(given in view or given.casefold() in view.casefold() for view in (*views, bulleted))
                or seen(value) in seen(text)
                or fold(value) in fold(text)
            )
        case _:
            return False


def leaves(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, list):
        for element in value:
            yield from leaves(element)
    elif isinstance(value, dict):
        for element in value.values():
            yield from leaves(element)
    else:
        yield value


def in_order(value: list[JsonValue], text: str) -> bool:
    """Whether the texts of a list stand in the text one behind the other."""
    place = 0
    for element in value:
        given = seen(element) if isinstance(element, str) else ""
        found = text.find(given, place)
        if found < 0:
            return False
        place = found + len(given)
    return True


@settings(max_examples=600, deadline=None)
@given(spoilt(), st.sampled_from(KINDS))
def test_reading_never_invents(text: str, kind: Type) -> None:
    try:
        found = read(text, kind, RECORDS, name="out")
    except ValueError:
        return
    for leaf in leaves(found.value):
        assert stands_in(leaf, text), (leaf, found)
    if kind == ListOf(item=STR) and isinstance(found.value, list):
        assert any(in_order(found.value, view) for view in (seen(text), seen(text).casefold(), text)), found


@settings(max_examples=400, deadline=None)
@given(spoilt(), st.sampled_from(KINDS[7:]))
def test_what_is_no_json_is_read_as_json_only_by_a_repair_with_a_name(text: str, kind: Type) -> None:
    text = text.strip()
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return
    try:
        found = read(text, kind, RECORDS)
    except ValueError:
        return
    try:
        strict_json(text)
    except ValueError:
        rest_is_brackets = any(_is_json(text[:end]) for end in range(len(text) - 3, len(text)) if end > 0)
        assert found.repairs or rest_is_brackets or kind == ListOf(item=STR), found


def _is_json(text: str) -> bool:
    try:
        strict_json(text)
    except ValueError:
        return False
    return True


# What was cut --------------------------------------------------------------------------------------

VALUES: dict[str, tuple[Type, st.SearchStrategy[JsonValue]]] = {
    "reasoning": (
        STR,
        st.text("ab c.,\n\"'[]{}#-", min_size=1, max_size=20).map(lambda text: text.strip() or "x"),
    ),
    "items": (ListOf(item=STR), st.lists(st.text("ab c,", max_size=6), max_size=4).map(list[JsonValue])),
    "numbers": (ListOf(item=INT), st.lists(st.integers(-99, 9999), max_size=4).map(list[JsonValue])),
    "label": (OneOf(values=("cat", "category", "dog")), st.sampled_from(["cat", "category", "dog"])),
    "count": (OptionalOf(item=INT), st.none() | st.integers(0, 99999)),
    "person": (
        RecordRef(name="Person"),
        st.fixed_dictionaries(
            {
                "name": st.none() | st.text("ab", max_size=4),
                "city": st.none() | st.text("cd", max_size=4),
                "home": st.none() | st.fixed_dictionaries({"name": st.just("h"), "city": st.none()}),
                "bio": st.none() | st.text("ef ", max_size=9),
            }
        ),
    ),
}
CUT = predictor(
    fields(question=STR), tuple(FieldSpec(name=name, type=kind) for name, (kind, _) in VALUES.items())
)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({name: made for name, (_, made) in VALUES.items()}), st.data())
def test_an_answer_that_was_cut_gives_what_the_whole_gives_or_nothing(row: Row, data: st.DataObject) -> None:
    for name in get_args(AdapterName):
        layout = adapter(name)
        whole = layout.answer(Demo(inputs={}, outputs=row), CUT.signature.outputs)
        end = data.draw(st.integers(0, len(whole)))
        for strict in (False, True):
            reading = layout.read(CUT, whole[:end], RECORDS, strict=strict, cut="was cut off")
            for output, value in reading.values.items():
                assert same(value, row[output]), (output, whole[:end])
            if end < len(whole.rstrip().removesuffix("[[ ## completed ## ]]")):
                assert reading.problems


@settings(max_examples=300, deadline=None)
@given(VALUES["person"][1], st.data())
def test_an_object_that_stops_is_refused_or_known_to_be_a_guess(
    person: JsonValue, data: st.DataObject
) -> None:
    """Also where nobody says that the model was stopped; what it holds is never taken for it."""
    whole = json.dumps({"wrapped": 1, **(person if isinstance(person, dict) else {})})
    text = whole[: data.draw(st.integers(1, len(whole) - 1))]
    try:
        found: Read = read(text, RecordRef(name="Person"), RECORDS)
    except ValueError:
        return
    assert found.guessed
    assert isinstance(found.value, dict)
    assert isinstance(person, dict)
    assert all(
        value in (None, person[name]) or isinstance(value, dict) for name, value in found.value.items()
    )


def test_any_keeps_a_text_that_is_no_json() -> None:
    assert read("[1 2", ANY, {}).value == "[1 2"
