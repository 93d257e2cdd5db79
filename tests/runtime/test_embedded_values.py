"""Every kind of output gets a value of its type, taken from the prompt."""

from __future__ import annotations

import pytest
from asking import ask, predictor
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.adapters.base import Adapter
from dspec.runtime.adapters.chat import ChatAdapter
from dspec.runtime.adapters.json_object import JsonAdapter
from dspec.runtime.adapters.xml import XmlAdapter
from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
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
    Row,
    Scalar,
    Type,
)

DATE = Scalar(name="date")


def shown(*pairs: tuple[str, JsonValue]) -> list[tuple[Row, Row]]:
    return [({"text": text}, {"value": value}) for text, value in pairs]


async def value_of(kind: Type, text: str, *pairs: tuple[str, JsonValue]) -> JsonValue:
    return (await ask(predictor({"value": kind}, shown(*pairs)), {"text": text}))["value"]


async def test_a_span_is_taken_where_demos_took_one() -> None:
    demos = (
        ("My order A-1001 has not arrived since Monday.", "A-1001"),
        ("Where is order B-2040? I paid 20 euro.", "B-2040"),
        ("Order C-7 came broken, all 3 cups.", "C-7"),
        ("Please cancel order D-555 today.", "D-555"),
    )
    assert await value_of(STR, "The cups of order Z-901 were blue, not red.", *demos) == "Z-901"


async def test_the_nearest_demo_s_text_is_copied_where_demos_do_not_quote_their_inputs() -> None:
    demos = (
        ("the parcel is late", "We have asked the courier and will write tomorrow."),
        ("the cup came broken", "We are sorry, and will send another one at once."),
        ("another parcel is very late", "We have asked the courier and will write tomorrow."),
        ("a broken plate in the box", "We are sorry, and will send another one at once."),
    )
    assert str(await value_of(STR, "my parcel is a week late", *demos)).startswith(
        "We have asked the courier"
    )


async def test_a_question_about_facts_is_answered_from_the_facts() -> None:
    asked = predictor({"answer": STR}, inputs=("question", "facts"))
    facts = "The mill was built in 1743. Its first owner was Anna Berg. The river froze often."
    assert (await ask(asked, {"question": "When was the mill built?", "facts": facts}))["answer"] == "1743"
    owner = await ask(asked, {"question": "Who was the first owner of the mill?", "facts": facts})
    assert owner["answer"] == "Anna Berg"


async def test_a_number_is_taken_from_the_place_that_demos_show() -> None:
    last = (("room 12 for 3 people", 3), ("flat 7, 5 people", 5), ("house 30 with 2 people", 2))
    assert await value_of(INT, "hut 9 and 4 people", *last) == 4
    total = (("2 pears and 3 plums", 5), ("1 pear and 9 plums", 10))
    assert await value_of(INT, "4 pears and 4 plums", *total) == 8
    assert await value_of(FLOAT, "it costs 1,250.50 in all") == 1250.5
    assert await value_of(INT, "no digits here", ("none", 7), ("nothing", 7), ("naught", 9)) == 7


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("due on 2024-02-29, not later", "2024-02-29"),
        ("due 3 March 2024", "2024-03-03"),
        ("due March 3rd, 2024", "2024-03-03"),
        ("due 03.04.2024", "2024-04-03"),
        ("due 31.02.2024 or 2024-05-01", "2024-05-01"),
    ],
)
async def test_a_date_is_found_and_written_as_iso(text: str, day: str) -> None:
    assert await value_of(DATE, text) == day


async def test_an_optional_is_null_where_the_input_has_nothing() -> None:
    assert await value_of(OptionalOf(item=DATE), "no day named") is None
    assert await value_of(OptionalOf(item=DATE), "on 1 May 2025") == "2025-05-01"


async def test_a_yes_needs_evidence() -> None:
    asked = predictor({"urgent": BOOL}, notes={"urgent": "true when it cannot wait"})
    assert (await ask(asked, {"text": "the invoice for May"}))["urgent"] is False
    assert (await ask(asked, {"text": "urgent, this cannot wait"}))["urgent"] is True


async def test_lists_of_labels_numbers_and_texts() -> None:
    topics = ListOf(item=OneOf(values=("price", "delivery", "quality")))
    assert await value_of(topics, "the price and the delivery") == ["price", "delivery"]
    assert await value_of(ListOf(item=INT), "rooms 4, 8 and 15") == [4, 8, 15]
    assert await value_of(ListOf(item=STR), "Bring: bread, milk and salt.") == ["bread", "milk", "salt"]


async def test_a_record_is_answered_field_by_field() -> None:
    records = {
        "Stay": Record(
            name="Stay",
            fields=(
                FieldSpec(name="day", type=DATE),
                FieldSpec(name="nights", type=INT),
                FieldSpec(name="board", type=OneOf(values=("none", "half", "full"))),
            ),
        )
    }
    demos: list[tuple[Row, Row]] = [
        (
            {"text": f"{n} nights from {n} May 2025, {b} board"},
            {"stay": {"day": f"2025-05-0{n}", "nights": n, "board": b}},
        )
        for n, b in ((2, "half"), (3, "full"), (4, "none"))
    ]
    asked = predictor({"stay": RecordRef(name="Stay")}, demos)
    answer = await ask(asked, {"text": "5 nights from 6 June 2025 with full board"}, records=records)
    assert answer["stay"] == {"day": "2025-06-06", "nights": 5, "board": "full"}


def _is_plain(kind: Type) -> bool:
    """A prompt's words do not tell `list[str?]` from `list[str]?`, so no answer can suit both when drawn."""
    return not isinstance(kind, OptionalOf)


def _kinds() -> st.SearchStrategy[Type]:
    names = st.sampled_from(("str", "int", "float", "bool", "date", "datetime", "any"))
    leaves: st.SearchStrategy[Type] = st.one_of(
        names.map(lambda name: Scalar(name=name)),
        st.lists(
            st.text(min_size=1, max_size=8).map(str.strip).filter(bool), min_size=1, max_size=3, unique=True
        ).map(lambda values: OneOf(values=tuple(values))),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.filter(_is_plain).map(lambda item: ListOf(item=item)),
            inner.map(lambda item: OptionalOf(item=item)),
            inner.filter(_is_plain).map(lambda item: DictOf(key=STR, value=item)),
        ),
        max_leaves=3,
    )


@pytest.mark.parametrize("adapter", [ChatAdapter(), JsonAdapter(), XmlAdapter()], ids=["chat", "json", "xml"])
@given(kinds=st.lists(_kinds(), min_size=1, max_size=3), text=st.text(max_size=60), sample=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
async def test_an_answer_always_parses(adapter: Adapter, kinds: list[Type], text: str, sample: int) -> None:
    outputs = {f"out{place}": kind for place, kind in enumerate(kinds)}
    temperature = 1.0 if sample else None
    answer = await ask(
        predictor(outputs), {"text": text}, adapter=adapter, sample=sample, temperature=temperature
    )
    assert list(answer) == list(outputs)
