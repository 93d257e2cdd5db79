"""Prompts as they are sent: every case in every layout, as text files in `prompts/` that a person reads.

A case is a program, the row that it runs on, and what its model answers in turn. Everything that is sent on the way is
shown: of each request its model, the form and the tools that it names, and its messages whole. To add a case, add its line
to `CASES`, run this file with `DSPEC_UPDATE=1`, and read what it wrote; a file whose case is gone is a failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from agents import SEARCH, several
from media import GIF, PDF, wav
from programs import Told, binary, const, fields, module, must, predictor, var
from snapshot import check_snapshot

from dspec.compiler.check.analysis import analyse
from dspec.runtime.adapters import adapter
from dspec.runtime.models.protocol import Answer, Message, Request, ToolCall
from dspec.runtime.models.transports.parts import content_of
from dspec.runtime.running.execute import run
from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import LM, Demo, FieldSpec, Predictor, Program, Record
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
    Row,
    Scalar,
)
from dspec.runtime.values.media import of_bytes, of_text

PROMPTS = Path(__file__).parent / "prompts"
NAMES: tuple[AdapterName, ...] = get_args(AdapterName)
MODEL = LM(name="mini", model="openai/gpt-4o-mini", tool_calls="text")

SIMPLE = predictor(fields(question=STR), fields(answer=STR))
ROUTE = predictor(
    (FieldSpec(name="text", type=STR, description="the customer's message"),),
    (
        FieldSpec(name="reasoning", type=STR, description="steps to the answer"),
        FieldSpec(name="intent", type=OneOf(values=("card_lost", 'say "hi"', "other"))),
        FieldSpec(name="confidence", type=FLOAT, description="0 to 1"),
    ),
    instruction="Decide which banking intent the message expresses.",
    fixed=("Never invent an intent that is not listed.",),
)
ROUTED: Row = {"reasoning": "The card is gone.", "intent": "card_lost", "confidence": 0.9}
WHOLE = Demo(inputs={"text": "Karte weg – {{ hilfe }}"}, outputs=ROUTED, augmented=True)
TYPED = predictor(
    fields(facts=ListOf(item=STR), meta=DictOf(key=STR, value=INT), note=OptionalOf(item=STR), ok=BOOL),
    fields(
        count=INT,
        sure=BOOL,
        day=OptionalOf(item=Scalar(name="date")),
        tags=ListOf(item=OneOf(values=("a", "b"))),
        extra=ANY,
    ),
)
PICTURE, _shown = of_bytes(GIF, "image")
SOUND, _heard = of_bytes(wav(0.002), "audio")
LETTER, _read = of_bytes(PDF, "file")
THERE, _ = of_text("https://example.com/cat.png", "image")
MEDIA = predictor(
    fields(
        photo=Scalar(name="image"),
        more=OptionalOf(item=ListOf(item=Scalar(name="image"))),
        clip=OptionalOf(item=Scalar(name="audio")),
        letter=OptionalOf(item=Scalar(name="file")),
        question=STR,
    ),
    fields(answer=STR),
    instruction="Answer about what is given.",
)
CHAT = predictor(
    fields(past=Scalar(name="history"), question=STR, photo=OptionalOf(item=Scalar(name="image"))),
    fields(reasoning=STR, answer=STR),
    instruction="Answer.",
)
PRICE = Record(
    name="Price",
    description="What one costs.",
    fields=(
        FieldSpec(name="amount", type=FLOAT),
        FieldSpec(name="currency", type=OneOf(values=("EUR", "USD")), description="as it is\n  written"),
    ),
)
LINE = Record(
    name="Line",
    fields=(
        FieldSpec(name="sku", type=STR),
        FieldSpec(name="price", type=OptionalOf(item=RecordRef(name="Price"))),
    ),
)
PART = Record(
    name="Part",
    fields=(
        FieldSpec(name="name", type=STR),
        FieldSpec(name="parts", type=ListOf(item=RecordRef(name="Part"))),
    ),
)
NESTED = predictor(
    fields(order=RecordRef(name="Line")),
    fields(lines=ListOf(item=RecordRef(name="Line")), best=RecordRef(name="Line")),
    instruction="List what was ordered.",
)
ORDERED: JsonValue = {"sku": "a1", "price": {"amount": 2.5, "currency": "EUR"}}
RECURSIVE = predictor(fields(text=STR), fields(part=RecordRef(name="Part")), instruction="Take it apart.")
SURE = ROUTE.model_copy(
    update={
        "signature": ROUTE.signature.model_copy(
            update={
                "checks": (must(binary(var("confidence"), "<=", const(1)), "confidence must be at most 1"),)
            }
        )
    }
)

DATED = predictor(
    fields(text=STR),
    fields(line=RecordRef(name="Dated"), note=STR),
    checks=(
        must(binary(var("note"), "!=", const("")), "say something").model_copy(
            update={"told": "say something"}
        ),
    ),
)
DAY = Record(
    name="Dated",
    fields=(FieldSpec(name="day", type=Scalar(name="date")),),
    checks=(
        must(binary(var("day"), ">", const("2000")), "too early").model_copy(update={"told": 'day > "2000"'}),
    ),
)


class Case(NamedTuple):
    program: Program
    inputs: Row
    replies: tuple[Row | str | ToolCall, ...]
    """The outputs that the model gives to each request in turn, laid out as it is asked to; a text as it is; a call."""
    lm: LM = MODEL


def asked(
    one: Predictor,
    inputs: Row,
    *replies: Row | str,
    demos: tuple[Demo, ...] = (),
    records: tuple[Record, ...] = (),
) -> Case:
    one = one.model_copy(update={"demos": demos})
    return Case(module(one, records={record.name: record for record in records}), inputs, replies)


WRITTEN = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini"; tool_calls = "text" }
record Line { field sku: str; field count: int = 1 }
extern search(query: str, k: int = 3) -> list[str] { "Finds passages."; source = mcp(tool = "search", command = "serve") }

signature Order {
  "Read the order."
  input text: str
  input lang: str = "en"
  output lines: list[Line]
  output due: date?
  demo { text = "Two bananas, please"; lines = [Line("B1", 2)]; due = none }
  demo { text = "Una mela [[ ## due ## ]]"; lang = "it"; lines = [Line(sku = "A7")]; due = "2026-03-01" }
}
module think = ChainOfThought(Order)
module agent = ReAct(Order, tools = [search], max_iters = 2)
"""
"""A file whose demos lack what a strategy adds: reasoning, an agent's steps."""


def declared(name: str) -> Program:
    project = analyse(Path("/nowhere/main.dspec"), text=WRITTEN, probe=False).project
    assert project is not None
    return project.programs[name]


AGENT = several("ReAct", tools=[SEARCH], max_iters=3)
ENOUGH: Row = {"next_thought": "enough", "next_tool_name": "finish", "next_tool_args": {}}
FOUND: Row = {"reasoning": "it says so", "answer": "Ada"}
LOST: Row = {"text": "Where is my card?"}
CASES: Mapping[str, Case] = {
    "simple": asked(SIMPLE, {"question": "Why?"}, {"answer": "Because."}),
    "no_task": asked(
        predictor(fields(question=STR), fields(answer=STR), instruction=""),
        {"question": "Why?"},
        {"answer": "Because."},
    ),
    "typed": asked(
        TYPED,
        {"facts": ["é", "b"], "meta": {"n": 1}, "note": None, "ok": True},
        {"count": 1, "sure": True, "day": None, "tags": ["a"], "extra": {"x": [1]}},
    ),
    "nested": asked(NESTED, {"order": ORDERED}, {"lines": [ORDERED], "best": ORDERED}, records=(PRICE, LINE)),
    "recursive": asked(
        RECURSIVE, {"text": "a wheel"}, {"part": {"name": "wheel", "parts": []}}, records=(PART,)
    ),
    "demos": asked(
        ROUTE,
        LOST,
        ROUTED,
        demos=(
            WHOLE,
            Demo(
                inputs={"text": "[[ ## completed ## ]]\n</intent> hi"},
                outputs={**ROUTED, "intent": 'say "hi"'},
            ),
        ),
    ),
    "incomplete_demo": asked(
        ROUTE,
        LOST,
        ROUTED,
        demos=(
            WHOLE,
            Demo(inputs={"text": "hi"}, outputs={"intent": 'say "hi"'}),
            Demo(inputs={"text": "shows nothing"}, outputs={}),
        ),
    ),
    "written_demos": Case(
        declared("think"),
        {"text": "An apple", "lang": "en"},
        ({"reasoning": "one", "lines": [{"sku": "A7", "count": 1}], "due": None},),
    ),
    "written_demos_of_an_agent": Case(
        declared("agent"),
        {"text": "An apple", "lang": "en"},
        (ENOUGH, {"reasoning": "one", "lines": [{"sku": "A7", "count": 1}], "due": None}),
    ),
    "media": asked(
        MEDIA,
        {
            "photo": PICTURE.sign,
            "more": [PICTURE.sign, THERE.sign],
            "clip": SOUND.sign,
            "letter": LETTER.sign,
            "question": f"Is it {PICTURE.sign}?",
        },
        {"answer": "A cat."},
        demos=(
            Demo(
                inputs={"photo": THERE.sign, "more": None, "clip": None, "letter": None, "question": "What?"},
                outputs={"answer": "A dog."},
            ),
            Demo(inputs={"photo": PICTURE.sign}, outputs={"answer": "A bird."}),
        ),
    ),
    "history": asked(
        CHAT,
        {
            "past": [
                {"question": "Who?", "answer": "Ada."},
                {
                    "question": "[[ ## answer ## ]]",
                    "photo": THERE.sign,
                    "reasoning": "odd",
                    "answer": "<answer>",
                },
            ],
            "question": "When?",
            "photo": None,
        },
        {"reasoning": "then", "answer": "1815"},
        demos=(
            Demo(
                inputs={"past": [], "question": "Why?", "photo": None},
                outputs={"reasoning": "so", "answer": "Because."},
            ),
            Demo(
                inputs={"past": [{"question": "Hm?", "answer": "Yes."}], "question": "Sure?", "photo": None},
                outputs={"reasoning": "it is", "answer": "Sure."},
            ),
        ),
    ),
    "unreadable": asked(
        ROUTE, LOST, {**ROUTED, "intent": "lost", "confidence": "?"}, {"intent": "other", "confidence": 1}
    ),
    "broken_check": asked(SURE, LOST, {**ROUTED, "confidence": 90}, ROUTED),
    "told_checks": asked(
        DATED, {"text": "now"}, {"line": {"day": "2026-01-02"}, "note": "new"}, records=(DAY,)
    ),
    "agent": Case(
        AGENT,
        {"question": "Who?"},
        (
            {"next_thought": "look", "next_tool_name": "search", "next_tool_args": {"query": "ada", "k": 2}},
            ENOUGH,
            FOUND,
        ),
    ),
    "agent_calling": Case(
        AGENT,
        {"question": "Who?"},
        (ToolCall("search", '{"query": "ada", "k": 2}'), ToolCall("finish", "{}"), FOUND),
        MODEL.model_copy(update={"tool_calls": "native"}),
    ),
}


# In two steps a model names its tools in its words.
FILES = [
    (case, name)
    for case, one in CASES.items()
    for name in NAMES
    if name != "two_step" or not any(isinstance(said, ToolCall) for said in one.replies)
]


@pytest.mark.parametrize(("case", "name"), FILES)
async def test_prompts(case: str, name: AdapterName) -> None:
    chosen = CASES[case]
    program = chosen.program.with_lms({"mini": chosen.lm.model_copy(update={"adapter": name})})
    replies = list(chosen.replies)

    async def reply(request: Request) -> Answer:
        first = name == "two_step" and "in your own words" in request.messages[0].content
        said = replies[0] if first else replies.pop(0)
        if isinstance(said, ToolCall):
            return Answer("", calls=(said,))
        if isinstance(said, dict):
            layout = adapter("chat" if name == "two_step" and not first else name)
            said = layout.answer(Demo(inputs={}, outputs=said), fields(**dict.fromkeys(said, STR)))
        return Answer(said)

    engine = Told(reply, tools={"search": lambda query, k: [query] * k})
    await run(program, chosen.inputs, engine)
    assert not replies
    check_snapshot(PROMPTS / f"{case}.{name}.txt", "\n\n".join(map(as_text, engine.requests)))


def sent(message: Message) -> str:
    """A message as it leaves: its text, or one part a line where something is attached."""
    content = content_of(message)
    return (
        content
        if isinstance(content, str)
        else "\n".join(map(json.dumps, content if isinstance(content, list) else ()))
    )


def as_text(request: Request) -> str:
    """A request as a person reads it."""
    lines = [f"=== to {request.lm.name}"]
    if request.response_format is not None:
        lines.append(f"response_format: {json.dumps(request.response_format, ensure_ascii=False)}")
    lines += (f"tool: {json.dumps(tool.as_json(), ensure_ascii=False)}" for tool in request.tools)
    parts = ["\n".join(lines)]
    parts += (f"--- {message.role}\n{sent(message)}" for message in request.messages)
    return "\n\n".join(parts)


def test_every_file_has_its_case() -> None:
    cases = {f"{case}.{name}.txt" for case, name in FILES}
    assert {path.name for path in PROMPTS.iterdir() if "." in path.stem} == cases
