"""Types of every form: what is printed is read again, in every layout, and the JSON Schema is what `coerce` takes."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.adapters import adapter
from dspec.runtime.adapters.schema import arguments_schema, object_schema
from dspec.runtime.adapters.words import in_words
from dspec.runtime.models.embedded.shapes import read_shape
from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import Demo, FieldSpec, Record
from dspec.runtime.schema.types import (
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
    TupleOf,
    Type,
)
from dspec.runtime.values.values import coerce, from_text
from tests.support.programs import fields, predictor

KIND = OneOf(values=("card", "voucher"))
RECORDS = {
    "Card": Record(name="Card", fields=fields(kind=KIND, last4=STR)),
    "Cash": Record(
        name="Cash", fields=fields(kind=OneOf(values=("cash",)), amount=FLOAT, paid=ListOf(item=INT))
    ),
}
PAYMENT = OneOfRecords(tag="kind", records=("Card", "Cash"))
TEXTS = st.text("ab c,\"'\\{}[]<>/#.\n", max_size=12)


def values_of(kind: Type) -> st.SearchStrategy[Any]:
    match kind:
        case OneOf(values=values) | OneOfNumbers(values=values):
            return st.sampled_from(values)
        case ListOf(item=item):
            return st.lists(values_of(item), max_size=3)
        case DictOf(value=value):
            return st.dictionaries(st.text("abc", min_size=1, max_size=3), values_of(value), max_size=2)
        case TupleOf(items=items):
            return st.tuples(*map(values_of, items)).map(list)
        case OptionalOf(item=item):
            return st.none() | values_of(item)
        case OneOfRecords(records=names):
            return st.one_of(*(values_of(RecordRef(name=name)) for name in names))
        case RecordRef(name=name):
            return st.fixed_dictionaries({one.name: values_of(one.type) for one in RECORDS[name].fields})
        case _:
            simple: dict[str, st.SearchStrategy[Any]] = {
                "str": TEXTS.map(str.strip),
                "int": st.integers(-999, 999),
                "float": st.integers(-99, 99).map(float),
                "bool": st.booleans(),
            }
            return simple[kind.name]


LEAVES: list[Type] = [
    STR,
    INT,
    FLOAT,
    BOOL,
    OneOf(values=("x", "long y"), notes=("what x means", "")),
    OneOfNumbers(values=(1, 2, -3)),
    OneOfNumbers(values=(0.5, 1.0)),
    PAYMENT,
    RecordRef(name="Cash"),
]
TYPES: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda item: ListOf(item=item)),
        inner.filter(lambda item: not isinstance(item, OptionalOf)).map(lambda item: OptionalOf(item=item)),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: TupleOf(items=tuple(items))),
        inner.map(lambda item: DictOf(key=STR, value=item)),
    ),
    max_leaves=4,
)
TYPED = TYPES.flatmap(lambda kind: st.tuples(st.just(kind), values_of(kind)))


def exactly(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)


@settings(max_examples=150, deadline=None)
@given(TYPED)
def test_what_is_printed_is_read_again_in_every_layout(typed: tuple[Type, JsonValue]) -> None:
    kind, value = typed
    # Beside a text: a text alone is the whole answer in some layouts.
    asked = predictor(fields(question=STR), fields(value=kind, note=STR))
    assert exactly(coerce(value, kind, RECORDS)) == exactly(value)
    for name in set(get_args(AdapterName)) - {
        "two_step"
    }:  # its words are a person's, and nobody reads values out of them
        layout = adapter(name)
        text = layout.answer(Demo(inputs={}, outputs={"value": value, "note": "n"}), asked.signature.outputs)
        for strict in (False, True):
            reading = layout.read(asked, text, RECORDS, strict=strict)
            if strict or not ambiguous(kind, value):
                assert not reading.problems, (name, strict, text, reading.problems)
                assert exactly(reading.values["value"]) == exactly(value), (name, strict, text)
                assert not reading.guessed


def ambiguous(kind: Type, value: JsonValue) -> bool:
    """Whether it is a text that may be missing: an empty one, or `none`, says that it is."""
    return isinstance(kind, OptionalOf) and isinstance(value, str)


@settings(max_examples=150, deadline=None)
@given(TYPES, st.data())
def test_the_json_schema_is_what_coerce_takes(kind: Type, data: st.DataObject) -> None:
    """Values of the type and of others: the schema takes those that `coerce` takes, apart from what it says of records:
    a strict schema wants members that may be left out, and the arguments of a tool may have others."""
    value = data.draw(values_of(kind) | TYPES.flatmap(values_of))
    schema = object_schema((FieldSpec(name="value", type=kind),), RECORDS)
    loose = arguments_schema((FieldSpec(name="value", type=kind),), RECORDS)
    try:
        coerce(value, kind, RECORDS)
    except ValueError:
        fits = False
    else:
        fits = True
    if schema is not None:
        assert jsonschema.Draft202012Validator(schema).is_valid({"value": value}) == fits, (schema, value)
    if fits:
        jsonschema.validate({"value": value}, loose)


@given(TYPES)
def test_only_what_a_strict_schema_cannot_say_has_none(kind: Type) -> None:
    def is_open(kind: Type) -> bool:
        match kind:
            case DictOf():
                return True
            case TupleOf(items=items):
                return len(set(map(repr, items))) > 1 or any(map(is_open, items))
            case ListOf(item=item) | OptionalOf(item=item):
                return is_open(item)
            case _:
                return False

    schema = object_schema((FieldSpec(name="value", type=kind),), RECORDS)
    assert (schema is None) == is_open(kind) or (schema is not None and isinstance(kind, TupleOf))


def test_a_union_of_records_is_any_of_them_by_a_constant() -> None:
    schema = object_schema(fields(paid=PAYMENT), RECORDS)
    assert schema is not None
    card, cash = schema["properties"]["paid"]["anyOf"]  # type: ignore[index, call-overload]
    assert cash["properties"]["kind"] == {"type": "string", "const": "cash"}  # type: ignore[index, call-overload]
    assert card["properties"]["kind"] == {"type": "string", "enum": ["card", "voucher"]}  # type: ignore[index, call-overload]


def test_what_labels_mean_reaches_the_prompt_and_the_schema_and_no_value() -> None:
    intent = OneOf(values=("billing", "refund"), notes=("money that was charged", ""))
    asked = predictor(fields(text=STR), fields(intent=intent, note=STR))
    for name in get_args(AdapterName):
        system = adapter(name).render(asked, {"text": "hi"}, {})[0].content
        assert '"billing" (money that was charged), "refund"' in system
    described = (FieldSpec(name="intent", type=intent, description="what it is about"),)
    schema = object_schema(described, {})
    assert schema is not None
    assert schema["properties"] == {
        "intent": {
            "type": "string",
            "enum": ["billing", "refund"],
            "description": "what it is about\nbilling: money that was charged",
        }
    }
    with pytest.raises(ValueError, match="one of"):
        coerce("money that was charged", intent, {})


def test_notes_are_left_out_where_there_are_none() -> None:
    assert OneOf(values=("a",)).model_dump(mode="json") == {"kind": "one_of", "values": ["a"]}


def test_cells_of_tables() -> None:
    assert from_text(" 4 ", OneOfNumbers(values=(4, 5)), {}) == 4
    assert from_text('["a", 1]', TupleOf(items=(STR, INT)), {}) == ["a", 1]
    assert from_text('{"kind": "voucher", "last4": "1"}', PAYMENT, RECORDS) == {
        "kind": "voucher",
        "last4": "1",
    }
    for text, kind in (
        ("6", OneOfNumbers(values=(4, 5))),
        ('["a"]', TupleOf(items=(STR, INT))),
        ("{}", PAYMENT),
    ):
        with pytest.raises(ValueError, match=r"expected|lacks"):
            from_text(text, kind, RECORDS)


@given(TYPES)
def test_the_offline_learner_knows_the_words_of_every_type(kind: Type) -> None:
    shape = read_shape(in_words(kind, RECORDS, set()))
    names = {
        "OneOf": "label", "OneOfNumbers": "label", "ListOf": "list", "DictOf": "dict", "TupleOf": "tuple",
        "OptionalOf": "optional", "OneOfRecords": "records", "RecordRef": "record",
    }  # fmt: skip
    scalars = {"str": "text", "int": "int", "float": "float", "bool": "bool"}
    wanted = names.get(type(kind).__name__) or scalars[kind.name]  # type: ignore[union-attr]
    assert shape.kind == wanted
    if isinstance(kind, OneOf | OneOfNumbers):
        assert shape.labels == kind.values
    if isinstance(kind, TupleOf):
        assert len(shape.fields) == len(kind.items)
