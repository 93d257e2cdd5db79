"""What the record of a run holds: every call of a model and of a tool, in the program's order, also of a run that failed."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from programs import Told, chat, const, fields, question, var

from dspec.compiler.cli.tracing import draw_trace
from dspec.compiler.evaluate.spans import trace_spans
from dspec.runtime.errors import DspecError, ParseError, ToolFailed, Unavailable
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import LM, CallStep, EachStep, NestedSteps, Program, Tool, ToolStep
from dspec.runtime.schema.trace import TraceStep, as_json
from dspec.runtime.schema.types import STR, ListOf


def looks_up(*, fan_out: int = 0) -> Program:
    """Asks for a query, searches with it, and answers; or asks `fan_out` times."""
    tool = Tool(name="search", inputs=fields(query=STR), output=STR, source="python")
    asked = CallStep(name="first", predictor="ask", arguments={"question": var("question")})
    found = ToolStep(name="found", tool="search", arguments={"query": var("first", "answer")})
    last = CallStep(name="out", predictor="ask", arguments={"question": var("found")})
    each = EachStep(
        name="all",
        variable="one",
        iterable=const([f"q{number}" for number in range(fan_out)]),
        most=fan_out,
        body=NestedSteps(
            steps=(CallStep(name="it", predictor="ask", arguments={"question": var("one")}),),
            value=var("it", "answer"),
        ),
    )
    return Program(
        name="lookup",
        inputs=fields(question=STR),
        outputs=fields(answer=ListOf(item=STR) if fan_out else STR),
        steps=(each,) if fan_out else (asked, found, last),
        returns={"answer": var("all") if fan_out else var("out", "answer")},
        predictors={"ask": question("answer", "why")},
        tools={"search": tool},
        lms={"mini": LM(name="mini", model="openai/gpt-x")},
    )


def said(answer: str) -> str:
    return chat(answer=answer, why="so")


async def traced(told: Told, **more: bool) -> tuple[TraceStep, ...]:
    return (await run(looks_up(), {"question": "q"}, told, **{"record": True, **more})).trace


async def test_every_call_is_recorded_with_prompt_answer_repair_tokens_and_cost() -> None:
    told = Told(
        ["no layout at all", said("mended"), said("done")],
        tools={"search": lambda query: query * 2},
    )
    first, found, last = await traced(told)
    assert (first.step, first.predictor, first.outputs, first.attempts) == (
        "first",
        "ask",
        {"answer": "mended", "why": "so"},
        2,
    )
    assert [call.answer for call in first.calls] == ["no layout at all", said("mended")]
    assert [(call.model, call.source, call.input_tokens, call.output_tokens) for call in first.calls] == [
        ("openai/gpt-x", "model", 10, 5)
    ] * 2
    assert first.cost == 0.5
    roles = [role for role, _ in first.exchange]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert first.exchange[2][1] == "no layout at all"
    assert (found.tool, found.predictor, found.inputs, found.outputs) == (
        "search",
        "",
        {"query": "mended"},
        {"result": "mendedmended"},
    )
    assert last.outputs["answer"] == "done"
    assert first.began <= found.began <= last.began
    json.dumps(as_json((first, found, last)))


async def test_a_compile_keeps_neither_prompts_nor_times() -> None:
    told = Told([said("a"), said("b")], tools={"search": lambda query: query})
    for step in await traced(told, record=False):
        assert (step.exchange, step.calls, step.began, step.seconds) == ((), (), 0.0, 0.0)


async def test_calls_that_run_at_once_stand_in_the_programs_order() -> None:
    rng = random.Random(3)

    async def late(request: Request) -> str:
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)
        return said("x")

    outcome = await run(looks_up(fan_out=9), {"question": "q"}, Told(late), record=True)
    assert [step.step for step in outcome.trace] == [f"all[{number}].it" for number in range(9)]
    assert [step.inputs["question"] for step in outcome.trace] == [f"q{number}" for number in range(9)]


async def failed(told: Told, kind: type[DspecError]) -> tuple[TraceStep, ...]:
    with pytest.raises(kind) as caught:
        await traced(told)
    return caught.value.trace


async def test_a_run_that_failed_tells_what_was_asked_until_then() -> None:
    def broken(query: str) -> str:
        raise ValueError(f"no index for {query}")

    first, found = await failed(Told([said("a")], tools={"search": broken}), ToolFailed)
    assert first.outputs == {"answer": "a", "why": "so"}
    assert "no index for a" in str(found.outputs["error"])

    (only,) = await failed(Told(["nonsense", "again"]), ParseError)
    assert [call.answer for call in only.calls] == ["nonsense", "again"]
    assert only.notes[-1].startswith("failed: ")
    assert only.exchange[0][0] == "system"

    (asked,) = await failed(Told([Unavailable("down")]), Unavailable)
    assert asked.calls == ()
    assert "q" in asked.exchange[1][1]


async def test_a_person_reads_the_trace_and_nothing_in_it_acts_on_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Told([said("[red]\x1b[2J"), said("done")], tools={"search": lambda query: query})
    draw_trace(await traced(told))
    shown = capsys.readouterr().err
    assert "1. first: the predictor `ask` on openai/gpt-x" in shown
    assert "2. found: the tool `search`" in shown
    assert "10 + 5 tokens · $0.25" in shown
    assert "in all: 2 model calls · 1 call of tools · 20 + 10 tokens · $0.5" in shown
    assert "[red]" in shown
    assert "\x1b[2J" not in shown


async def test_a_recorded_run_becomes_spans() -> None:
    def broken(query: str) -> str:
        raise ValueError("no")

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    steps = await failed(Told([said("a")], tools={"search": broken}), ToolFailed)
    trace_spans("lookup", steps, provider.get_tracer("t"), began=1_000, ended=10**12)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"run lookup", "predict ask", "chat gpt-x", "execute_tool search"}
    assert spans["chat gpt-x"].parent is not None
    assert spans["chat gpt-x"].parent.span_id == spans["predict ask"].context.span_id
    assert not spans["execute_tool search"].status.is_ok
    attributes = spans["chat gpt-x"].attributes
    assert attributes is not None
    assert attributes["gen_ai.usage.output_tokens"] == 5
