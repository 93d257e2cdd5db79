"""All adapters: what holds of every prompt, and what is read from an answer. What prompts look like is in `test_prompts`."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import chat, fields, predictor, question
from snapshot import check_snapshot

from dspec.runtime.adapters import LEFT_OUT, Adapter, UnreadOutput, adapter
from dspec.runtime.errors import ParseError
from dspec.runtime.models.protocol import Message
from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import LM, Demo, FieldSpec, Record
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
)

PROMPTS = Path(__file__).parent / "prompts"
CHAT, JSON, XML = adapter("chat"), adapter("json"), adapter("xml")
NAMES: list[AdapterName] = ["chat", "json", "xml"]
RECORDS = {
    "Line": Record(
        name="Line",
        fields=(
            FieldSpec(name="sku", type=STR),
            FieldSpec(name="qty", type=FLOAT, description="in\n  pieces"),
            FieldSpec(name="similar", type=ListOf(item=RecordRef(name="Line"))),
        ),
    )
}
ROUTE = predictor(
    (FieldSpec(name="text", type=STR, description="the customer's message"),),
    (
        FieldSpec(name="reasoning", type=STR, description="steps to the answer"),
        FieldSpec(name="intent", type=OneOf(values=("card_lost", 'say "hi"', "other"))),
        FieldSpec(name="confidence", type=FLOAT, description="0 to 1"),
    ),
    instruction="Decide which banking intent the message expresses.",
    fixed=("Never invent an intent that is not listed.",),
).model_copy(
    update={
        "demos": (
            Demo(
                inputs={"text": "Karte weg – {{ hilfe }}"},
                outputs={"reasoning": "The card is gone.", "intent": "card_lost", "confidence": 0.9},
                augmented=True,
            ),
            Demo(inputs={"text": "[[ ## completed ## ]]\nhi"}, outputs={"intent": 'say "hi"'}),
            Demo(inputs={"text": "shows nothing"}, outputs={}),
        )
    }
)
TYPED = predictor(
    fields(facts=ListOf(item=STR), meta=DictOf(key=STR, value=INT), note=OptionalOf(item=STR), ok=BOOL),
    fields(
        line=RecordRef(name="Line"),
        lines=ListOf(item=RecordRef(name="Line")),
        day=OptionalOf(item=Scalar(name="date")),
        tags=ListOf(item=OneOf(values=("a", "b"))),
        extra=ANY,
    ),
)


def as_text(messages: tuple[Message, ...]) -> str:
    return "\n\n".join(f"--- {message.role}\n{message.content}" for message in messages)


@pytest.mark.parametrize("chosen", [CHAT, JSON, XML], ids=NAMES)
def test_correction_and_objection(chosen: Adapter) -> None:
    problems = (
        UnreadOutput("intent", 'expected one of "a", got "[[ ## intent ## ]]"'),
        UnreadOutput("confidence", "is missing"),
    )
    texts = (chosen.correction(ROUTE, problems), chosen.objection(ROUTE, ["must be sure"]))
    check_snapshot(PROMPTS / f"again_{type(chosen).__name__}.txt", as_text(texts))


def test_values_are_data() -> None:
    for text in ("{{ 7 * 7 }}", "{% for x in y %}", "{# gone #}"):
        asked = question(instruction=text, fixed=(text,))
        messages = CHAT.render(asked, {"question": text}, {})
        assert messages[0].content.count(text) == 2
        assert text in messages[-1].content
        assert "49" not in as_text(messages)


def test_demos_are_rendered_once_for_a_predictor_and_again_for_another() -> None:
    first = CHAT.render(ROUTE, {"text": "a"}, RECORDS)
    second = CHAT.render(ROUTE, {"text": "b"}, RECORDS)
    assert all(one is other for one, other in zip(first[:-1], second[:-1], strict=True))
    rewritten = ROUTE.model_copy(
        update={"signature": ROUTE.signature.model_copy(update={"instruction": "Otherwise."})}
    )
    assert "Otherwise." in CHAT.render(rewritten, {"text": "a"}, RECORDS)[0].content


def test_rendering_is_fast() -> None:
    asked = ROUTE.model_copy(update={"demos": ROUTE.demos[:2] * 4})
    CHAT.render(asked, {"text": "a"}, RECORDS)
    began = time.process_time()
    for index in range(1000):
        CHAT.render(asked, {"text": f"message {index}"}, RECORDS)
    assert time.process_time() - began < 0.3


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["[[ ## ", "answer", " ## ]]", "completed", "\\", "\n", "[", "x", "<", "</", "other", ">", " "]
        )
    ).map("".join)
)
def test_any_text_survives_the_layout(text: str) -> None:
    text = text.strip() or "x"
    asked = question("answer", "other")
    for chosen in (CHAT, JSON, XML):
        demo = Demo(inputs={}, outputs={"answer": text, "other": text})
        written = chosen.answer(demo, asked.signature.outputs)
        assert chosen.parse(asked, written, {}) == {"answer": text, "other": text}
    shown = CHAT.render(asked, {"question": text}, {})[-1].content
    assert len([line for line in shown.splitlines() if line.startswith("[[ ##")]) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[[ ## ", "[[\xa0##", "answer", " ## ]]", "\\", "\n", "[", '"', "\\u005b", "x"])
    ).map("".join)
)
def test_json_stays_json_in_the_layout(text: str) -> None:
    """What stands in JSON is escaped as JSON escapes, so that a strict reader has the values."""
    value: JsonValue = [[text], {text: text}]
    asked = predictor(fields(question=ANY), fields(answer=ANY))
    shown = CHAT.render(asked, {"question": value}, {})[-1].content
    written = shown.removeprefix("[[ ## question ## ]]\n").partition("\n\nAnswer with")[0]
    assert json.loads(written) == value
    assert not re.search(r"\[\[\s*##", written)
    answer = CHAT.answer(Demo(inputs={}, outputs={"answer": value}), asked.signature.outputs)
    assert CHAT.parse(asked, answer, {}) == {"answer": value}


def test_an_answer_in_the_layout() -> None:
    text = chat(reasoning="because\n\nit is", intent="card_lost", confidence="0.9")
    expected = {"reasoning": "because\n\nit is", "intent": "card_lost", "confidence": 0.9}
    assert CHAT.read(ROUTE, text, RECORDS).values == expected
    assert CHAT.read(ROUTE, text, RECORDS).notes == ()
    assert CHAT.parse(ROUTE, text, RECORDS, strict=True) == expected


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("it is gone\n[[ ## intent ## ]]\nother\n[[ ## confidence ## ]]\n1", "text before the first header"),
        ('```json\n{"reasoning": "it is gone", "intent": "other", "confidence": 1}\n```', "JSON object"),
        ("**Reasoning:** it is gone\n**Intent:** other\nconfidence: 1", "labelled lines"),
        ("[[##reasoning##]] it is gone\n  [[ ## intent ## ]] other\n[[ ## confidence ## ]] 1", None),
        (
            (
                "[[ ## text ## ]]\nhello\n[[ ## reasoning ## ]]\nit is gone\n[[ ## intent ## ]]\nother\n"
                "[[ ## confidence ## ]]\n1\n[[ ## intent ## ]]\nother\n[[ ## completed ## ]]\nBye!"
            ),
            None,
        ),
    ],
)
def test_chat_answers_that_need_no_second_call(text: str, note: str | None) -> None:
    reading = CHAT.read(ROUTE, text, RECORDS)
    assert reading.values == {"reasoning": "it is gone", "intent": "other", "confidence": 1.0}
    assert not reading.problems
    assert note in reading.notes[0] if note else reading.notes == ()


def test_a_header_of_another_name_is_text() -> None:
    asked = question()
    assert CHAT.parse(asked, "[[ ## answer ## ]]\na\n[[ ## sources ## ]]\nb", {}) == {
        "answer": "a\n[[ ## sources ## ]]\nb"
    }


def test_the_only_output_may_stand_alone() -> None:
    assert CHAT.read(question(), " Paris ", {}).values == {"answer": "Paris"}
    assert CHAT.read(question(), " Paris ", {}, strict=True).problems
    assert CHAT.read(question("a", "b"), "Paris", {}).problems


@pytest.mark.parametrize("chosen", [CHAT, JSON, XML], ids=NAMES)
@pytest.mark.parametrize("text", ["", "   ", "[[ ## completed ## ]]", "{}", "null", "[]"])
def test_an_empty_answer_lacks_every_output(chosen: Adapter, text: str) -> None:
    asked = question("first", "second")
    with pytest.raises(ParseError, match="first: is missing; second: is missing") as caught:
        chosen.parse(asked, text, {})
    assert caught.value.raw == text


def test_missing_outputs_take_their_default_then_null() -> None:
    asked = predictor(
        fields(question=STR),
        (
            FieldSpec(name="answer", type=STR),
            FieldSpec(name="note", type=OptionalOf(item=STR)),
            FieldSpec(name="sure", type=BOOL, has_default=True, default=True),
        ),
    )
    expected = {"answer": "a", "note": None, "sure": True}
    assert CHAT.parse(asked, chat(answer="a"), {}) == expected
    assert JSON.parse(asked, '{"answer": "a"}', {}) == expected
    assert XML.parse(asked, "<answer>a</answer>", {}) == expected


def test_the_filler_of_partial_demos_is_not_an_answer() -> None:
    problems = CHAT.read(question("answer", "why"), chat(answer="a", why=LEFT_OUT), {}).problems
    assert problems == (UnreadOutput("why", "is missing"),)


def test_only_some_outputs_are_asked_for_again() -> None:
    for text in ("0.5", chat(confidence="0.5"), chat(intent="nonsense", confidence="0.5", reasoning="x")):
        assert CHAT.read(ROUTE, text, RECORDS, only={"confidence"}).values == {"confidence": 0.5}
    assert JSON.read(ROUTE, '{"confidence": 0.5}', RECORDS, only={"confidence"}).values == {"confidence": 0.5}


def test_problems_name_what_was_expected() -> None:
    text = chat(reasoning="r", intent="card", confidence="high")
    with pytest.raises(ParseError) as caught:
        CHAT.parse(ROUTE, text, RECORDS)
    assert caught.value.message == (
        'intent: expected one of "card_lost", "say \\"hi\\"", "other", got "card"; '
        'confidence: expected a number, got "high"'
    )


def test_json_answers() -> None:
    value: dict[str, JsonValue] = {"reasoning": "r", "intent": "other", "confidence": 1, "unasked": [1]}
    expected = {"reasoning": "r", "intent": "other", "confidence": 1.0}
    text = json.dumps(value)
    assert JSON.read(ROUTE, text, RECORDS).values == expected
    assert JSON.parse(ROUTE, text, RECORDS, strict=True) == expected
    wrapped = JSON.read(ROUTE, f"Here: {{x}}\n```json\n{text[:-1]},}}\n```", RECORDS)
    assert (wrapped.values, wrapped.notes) == (
        expected,
        ("repaired the JSON: took out a trailing comma",),
    )
    assert JSON.read(ROUTE, f"Here: {text}", RECORDS, strict=True).problems


def test_a_text_output_keeps_a_json_string_as_it_is() -> None:
    asked = predictor(fields(question=STR), fields(answer=STR, extra=ANY))
    assert JSON.parse(asked, '{"answer": "null", "extra": "5"}', {}) == {"answer": "null", "extra": "5"}


def test_response_formats() -> None:
    plain = LM(name="a", model="mistral/large")
    strict = LM(name="a", model="openai/gpt-4o-mini")
    assert CHAT.response_format(ROUTE, RECORDS, strict) is None
    assert JSON.response_format(ROUTE, RECORDS, plain) == {"type": "json_object"}
    own = strict.model_copy(update={"api_base_env": "BASE"})
    assert JSON.response_format(ROUTE, RECORDS, own) == {"type": "json_object"}
    assert JSON.response_format(TYPED, RECORDS, strict) == {"type": "json_object"}
    asked = predictor(
        fields(question=STR),
        fields(
            kind=OneOf(values=("a", "b")),
            day=OptionalOf(item=Scalar(name="date")),
            flat=RecordRef(name="Flat"),
        ),
        name="Odd name!",
    )
    flat = {"Flat": Record(name="Flat", fields=fields(n=INT, tags=ListOf(item=STR)))}
    format_ = JSON.response_format(asked, flat, strict)
    assert format_ is not None
    described = format_["json_schema"]
    assert isinstance(described, dict)
    assert described["name"] == "Odd_name_"
    schema = described["schema"]
    assert isinstance(schema, dict)
    jsonschema.validate({"kind": "a", "day": None, "flat": {"n": 1, "tags": ["x"]}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "c", "day": None, "flat": {"n": 1, "tags": []}}, schema)


def test_records_are_spelled_out_once_however_they_refer_to_each_other() -> None:
    names = [f"R{index}" for index in range(40)]
    records = {
        name: Record(
            name=name, fields=fields(**{other: RecordRef(name=other) for other in names if other != name})
        )
        for name in names
    }
    asked = predictor(fields(question=STR), fields(tree=RecordRef(name="R0")))
    began = time.process_time()
    system = CHAT.render(asked, {"question": "?"}, records)[0].content
    assert len(system) < 100_000
    assert JSON.response_format(asked, records, LM(name="a", model="openai/gpt-4o")) == {
        "type": "json_object"
    }
    assert time.process_time() - began < 1.0


TEXT_AND_NUMBER = predictor(fields(question=STR), fields(a=STR, b=INT))


@pytest.mark.parametrize("layout", [CHAT, JSON, XML], ids=["chat", "json", "xml"])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("text", ['{"b": 1}', '```json\n{"B": 1}\n```', 'Here:\n{"b": 1}'])
def test_an_object_of_other_outputs_is_no_text(layout: Adapter, again: bool, text: str) -> None:
    reading = layout.read(TEXT_AND_NUMBER, text, {}, only={"a"}, again=again)
    assert (reading.values, reading.problems) == ({}, (UnreadOutput("a", "is missing"),))
    table = predictor(fields(question=STR), fields(a=DictOf(key=STR, value=INT), b=INT))
    assert layout.read(table, text, {}, only={"a"}, again=again).problems


@pytest.mark.parametrize("text", ["I am sorry, I cannot.", "Let me think again.", "b: 1"])
def test_words_are_no_text_of_one_of_several_outputs_that_was_asked_for_again(text: str) -> None:
    for layout in (CHAT, JSON, XML):
        for kind in (STR, ANY, OptionalOf(item=STR), ListOf(item=STR), INT):
            asked = predictor(fields(question=STR), fields(a=kind, b=INT))
            reading = layout.read(asked, text, {}, only={"a"}, again=True)
            assert reading.values == {}, (text, kind)


def test_what_was_asked_for_again_may_come_bare_where_not_any_words_are_a_value() -> None:
    for kind, text, value in (
        (INT, "7", 7),
        (OneOf(values=("x", "y")), "y.", "y"),
        (ListOf(item=STR), '["u", "v"]', ["u", "v"]),
        (ListOf(item=INT), "1, 2", [1, 2]),
    ):
        asked = predictor(fields(question=STR), fields(a=kind, b=STR))
        for layout in (CHAT, JSON, XML):
            assert layout.read(asked, text, {}, only={"a"}, again=True).values == {"a": value}
    one = predictor(fields(question=STR), fields(a=STR))
    assert CHAT.read(one, "Paris", {}, only={"a"}, again=True).values == {"a": "Paris"}
    assert CHAT.read(TEXT_AND_NUMBER, "[[ ## a ## ]]\nParis", {}, only={"a"}, again=True).values == {
        "a": "Paris"
    }


def test_a_backslash_in_tags_is_the_values_own_but_for_its_own_tags() -> None:
    asked = predictor(fields(question=STR), fields(code=STR, b=STR))
    code = r"re.sub('<\/b>', '', '<b>'); x = '</b>'"
    assert XML.parse(asked, f"<code>{code}</code><b>y</b>", {}) == {"code": code, "b": "y"}
    assert XML.parse(asked, r"<code>x</code><b>a <\/b> c</b>", {}) == {"code": "x", "b": "a </b> c"}
