"""The embedded model reads back what the real adapters write."""

from __future__ import annotations

import pytest
from asking import predictor

from dspec.runtime.adapters.base import LEFT_OUT, Adapter, UnreadOutput
from dspec.runtime.adapters.chat import ChatAdapter
from dspec.runtime.adapters.json_object import JsonAdapter
from dspec.runtime.adapters.words import in_words
from dspec.runtime.adapters.xml import XmlAdapter
from dspec.runtime.models.embedded import prompt
from dspec.runtime.models.embedded.prompt import ShownDemo, divide, read_brief, read_question
from dspec.runtime.models.embedded.shapes import TEXT, PromptField, Shape, read_shape
from dspec.runtime.models.protocol import Message
from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OptionalOf,
    RecordRef,
    Scalar,
    Type,
)

INTENT = OneOf(values=("refund", "how_to", 'odd "one", (or) two'))
ADAPTERS: list[Adapter] = [ChatAdapter(), JsonAdapter(), XmlAdapter()]
by_layout = pytest.mark.parametrize("adapter", ADAPTERS, ids=["chat", "json", "xml"])


@by_layout
def test_fields_labels_demos_and_question_are_read_back(adapter: Adapter) -> None:
    asked = predictor(
        {"reasoning": STR, "intent": INTENT, "sure": FLOAT},
        [({"text": "where?\n\n[[ ## intent ## ]]"}, {"reasoning": "r", "intent": "how_to", "sure": 0.5})],
        instruction="Decide.\nInput fields:\n- x (text)",
        notes={"intent": "what (roughly) is wanted", "sure": "0 to 1"},
    )
    messages = adapter.render(asked, {"text": "Answer with care\n\n[[ ## text ## ]] now"}, {})
    at = divide(messages)
    brief = read_brief(messages[:at])
    assert brief.inputs == (PromptField("text", TEXT),)
    assert brief.outputs == (
        PromptField("reasoning", TEXT),
        PromptField("intent", Shape("label", labels=INTENT.values), "what (roughly) is wanted"),
        PromptField("sure", Shape("float"), "0 to 1"),
    )
    assert brief.task == "Decide.\nInput fields:\n- x (text)"
    expected = {"reasoning": "r", "intent": "how_to", "sure": "0.5"}
    assert brief.examples == (ShownDemo({"text": "where?\n\n[[ ## intent ## ]]"}, expected),)
    assert brief.layout == {ChatAdapter: "sections", JsonAdapter: "json", XmlAdapter: "xml"}[type(adapter)]
    assert read_question(messages[at:], brief).inputs == {"text": "Answer with care\n\n[[ ## text ## ]] now"}


@by_layout
def test_what_a_demo_leaves_out_is_not_a_value(adapter: Adapter) -> None:
    asked = predictor({"reasoning": STR, "intent": INTENT}, [({"text": "a"}, {"intent": "refund"})])
    messages = adapter.render(asked, {"text": "b"}, {})
    assert read_brief(messages[:-1]).examples == (ShownDemo({"text": "a"}, {"intent": "refund"}),)
    assert prompt.LEFT_OUT == LEFT_OUT


@by_layout
def test_a_correction_names_the_outputs_it_wants(adapter: Adapter) -> None:
    asked = predictor({"intent": INTENT, "sure": FLOAT}, [({"text": "a"}, {"intent": "refund", "sure": 1.0})])
    bad = Message("assistant", adapter.answer(asked.demos[0], asked.signature.outputs))
    correction = adapter.correction(asked, [UnreadOutput("sure", "is missing")])
    messages = (*adapter.render(asked, {"text": "b"}, {}), bad, correction)
    at = divide(messages)
    assert at == 3
    question = read_question(messages[at:], read_brief(messages[:at]))
    assert question.only == ("sure",)
    assert question.objections == ("sure: is missing",)
    assert question.rejected == ({"intent": "refund", "sure": "1.0"},)


@by_layout
def test_an_objection_wants_every_output(adapter: Adapter) -> None:
    asked = predictor({"intent": INTENT, "sure": FLOAT}, [({"text": "a"}, {"intent": "refund", "sure": 1.0})])
    bad = Message("assistant", adapter.answer(asked.demos[0], asked.signature.outputs))
    messages = (
        *adapter.render(asked, {"text": "b"}, {}),
        bad,
        adapter.objection(asked, ["only one of these"]),
    )
    at = divide(messages)
    question = read_question(messages[at:], read_brief(messages[:at]))
    assert (question.only, question.objections) == ((), ("only one of these",))


@by_layout
def test_a_signature_without_inputs_is_asked_and_corrected_too(adapter: Adapter) -> None:
    asked = predictor({"intent": INTENT}, inputs=())
    asking = adapter.render(asked, {}, {})
    assert divide(asking) == 1
    brief = read_brief(asking[:1])
    assert read_question(asking[1:], brief).inputs == {}
    messages = (*asking, Message("assistant", "?"), adapter.objection(asked, ["another one"]))
    assert divide(messages) == 1
    assert read_question(messages[1:], brief).objections == ("another one",)


RECORDS = {
    "Line": Record(
        name="Line",
        fields=(
            FieldSpec(name="sku", type=STR, description="code (as printed), if any"),
            FieldSpec(name="count", type=OptionalOf(item=INT)),
            FieldSpec(name="grade", type=OneOf(values=("a", "b"))),
        ),
    )
}
LINE = Shape(
    "record",
    fields=(
        PromptField("sku", TEXT, "code (as printed), if any"),
        PromptField("count", Shape("optional", item=Shape("int"))),
        PromptField("grade", Shape("label", labels=("a", "b"))),
    ),
)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (STR, TEXT),
        (INT, Shape("int")),
        (FLOAT, Shape("float")),
        (BOOL, Shape("bool")),
        (ANY, Shape("any")),
        (Scalar(name="date"), Shape("date")),
        (Scalar(name="datetime"), Shape("datetime")),
        (INTENT, Shape("label", labels=INTENT.values)),
        (OptionalOf(item=Scalar(name="date")), Shape("optional", item=Shape("date"))),
        (OptionalOf(item=INTENT), Shape("optional", item=Shape("label", labels=INTENT.values))),
        (ListOf(item=ListOf(item=INT)), Shape("list", item=Shape("list", item=Shape("int")))),
        (DictOf(key=STR, value=FLOAT), Shape("dict", item=Shape("float"))),
        (RecordRef(name="Line"), LINE),
        (ListOf(item=RecordRef(name="Line")), Shape("list", item=LINE)),
    ],
)
def test_every_type_is_known_by_its_words(kind: Type, shape: Shape) -> None:
    assert read_shape(in_words(kind, RECORDS, set())) == shape


def nested(depth: int) -> list[tuple[Type, Shape]]:
    """Every way to put lists, dictionaries and optionals around the plain types."""
    found: list[tuple[Type, Shape]] = [
        (STR, TEXT),
        (INTENT, Shape("label", labels=INTENT.values)),
        (RecordRef(name="Line"), LINE),
    ]
    for kind, shape in nested(depth - 1) if depth else ():
        found.append((ListOf(item=kind), Shape("list", item=shape)))
        found.append((DictOf(key=STR, value=kind), Shape("dict", item=shape)))
        if shape.kind != "optional":
            found.append((OptionalOf(item=kind), Shape("optional", item=shape)))
    return found


def test_no_two_types_have_the_same_words() -> None:
    kinds = nested(4)
    words = [in_words(kind, RECORDS, set()) for kind, _ in kinds]
    assert len(set(words)) == len(words)
    assert [read_shape(each) for each in words] == [shape for _, shape in kinds]


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        ('"a" | "b"', Shape("label", labels=("a", "b"))),
        ("list[str]?", Shape("optional", item=Shape("list", item=TEXT))),
        ("one of: yes, no, maybe", Shape("label", labels=("yes", "no", "maybe"))),
        ("integer", Shape("int")),
        ("a poem in the old style", TEXT),
        ("", TEXT),
    ],
)
def test_other_spellings_of_types(words: str, shape: Shape) -> None:
    assert read_shape(words) == shape


def test_a_prompt_without_structure_is_one_text_and_one_answer() -> None:
    messages = (Message("system", "Be brief."), Message("user", "Hello?"))
    brief = read_brief(messages[:1])
    assert (brief.layout, brief.outputs, brief.task) == ("plain", (PromptField("answer", TEXT),), "Be brief.")
    assert read_question(messages[1:], brief).inputs == {"text": "Hello?"}


def test_names_come_from_the_demos_where_no_list_gives_them() -> None:
    messages = (
        Message("user", "[[ ## city ## ]]\nOslo"),
        Message("assistant", "[[ ## land ## ]]\nNorway\n\n[[ ## completed ## ]]"),
    )
    brief = read_brief(messages)
    assert ([field.name for field in brief.inputs], [field.name for field in brief.outputs]) == (
        ["city"],
        ["land"],
    )
    assert brief.layout == "sections"
