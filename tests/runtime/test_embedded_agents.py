"""The embedded model as an agent: the tool that fits is asked once, by the question's own words, and its answer is quoted."""

from __future__ import annotations

from typing import Literal

import pytest
from agents import MINI, SEARCH, several
from programs import Told, fields

from dspec.runtime.models.embedded import EmbeddedTransport
from dspec.runtime.models.protocol import Answer, Request
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.schema.program import Signature, Tool
from dspec.runtime.schema.types import INT, STR, JsonValue

QUOTE = Signature(
    name="Quote",
    instruction="Answer by the sentence that says it.",
    inputs=fields(question=STR),
    outputs=fields(quote=STR),
)
PRICE = Tool(
    name="price",
    description="What a product costs, in euros.",
    inputs=fields(product=STR, amount=INT),
    output=STR,
    source="python",
)


async def led(
    question: str, *tools: Tool, adapter: Literal["chat", "json", "xml"] = "chat", **gives: JsonValue
) -> tuple[Outcome, Told]:
    async def answer(request: Request) -> Answer:
        return await EmbeddedTransport().complete(request)

    engine = Told(answer, tools={name: lambda _=value, **__: _ for name, value in gives.items()})  # pyright: ignore[reportUnknownLambdaType]
    lm = MINI.model_copy(update={"adapter": adapter})
    agent = several("ReAct", signature=QUOTE, tools=tools, lm=lm, max_iters=4)
    return await run(agent, {"question": question}, engine), engine


@pytest.mark.parametrize("adapter", ["chat", "json", "xml"])
async def test_the_tool_is_asked_and_quoted(adapter: Literal["chat", "json", "xml"]) -> None:
    passages: JsonValue = ["The shop opens at nine.", "The warranty lasts two years. It covers parts."]
    outcome, engine = await led("How long does the warranty last?", SEARCH, adapter=adapter, search=passages)
    assert engine.called == [("search", {"query": "How long warranty last", "k": 3})]
    assert outcome.outputs["quote"] == "The warranty lasts two years."
    assert [step.tool for step in outcome.trace] == ["", "search", "", ""]


async def test_the_tool_that_fits_is_asked_with_what_it_takes() -> None:
    outcome, engine = await led(
        "What do 3 lamps cost in euros?", SEARCH, PRICE, price="3 lamps cost 60 euros."
    )
    ((tool, arguments),) = engine.called
    assert (tool, arguments["amount"]) == ("price", 3)
    assert outcome.outputs["quote"] == "3 lamps cost 60 euros."


async def test_what_gives_nothing_is_not_asked_again() -> None:
    _, engine = await led("Can I bring my dog?", SEARCH, search=[])
    assert len(engine.called) == 1
    outcome, engine = await led("Can I bring my dog?", SEARCH)  # which fails
    assert [step.outputs for step in outcome.trace if step.tool] == [
        {"error": "the tool `search` failed: 'search'"}
    ]
