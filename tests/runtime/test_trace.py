"""What the record of a run holds: every call of a model and of a tool, in the program's order, also of a run that failed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from agents import SEARCH, several
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from programs import Told, binary, call, chat, const, fields, module, question, var
from server import FakeServer

from dspec.compiler.cli.tracing import draw_trace
from dspec.runtime.errors import DspecError, ParseError, Refused, TimedOut, ToolFailed, Unavailable
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import run
from dspec.runtime.running.spans import trace_spans
from dspec.runtime.schema.ensemble import Ensemble, First
from dspec.runtime.schema.program import LM, CallStep, EachStep, NestedSteps, Program, Reward, Tool, ToolStep
from dspec.runtime.schema.trace import TraceStep, as_json
from dspec.runtime.schema.types import STR, ListOf

LENGTH = Reward(
    name="length",
    pred="pred",
    score=binary(call("min", call("len", var("pred", "answer")), const(10)), "/", const(10)),
    feedback=binary(const("too short for "), "+", var("pred", "question")),
)


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


def spans_of(steps: Sequence[TraceStep]) -> Sequence[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_spans("lookup", steps, provider.get_tracer("t"), began=1_000, ended=10**12)
    return exporter.get_finished_spans()


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
    assert [(call.error, call.answer, call.cost) for call in asked.calls] == [("down", "", 0.0)]
    assert asked.attempts == 1
    assert "q" in asked.exchange[1][1]
    (late,) = await failed(Told([TimedOut("late")]), TimedOut)
    assert late.cost is None  # it may be billed


async def test_a_refusal_is_a_call_beside_the_fallbacks() -> None:
    program = looks_up(fan_out=1)
    other = LM(name="other", model="openai/gpt-y")
    mini = program.lms["mini"].model_copy(update={"fallback": ("other",)})
    program = program.with_lms({"mini": mini, "other": other})
    (step,) = (await run(program, {"question": "q"}, Told([Refused("no"), said("x")]), record=True)).trace
    assert [(call.lm, call.error) for call in step.calls] == [("mini", "no"), ("other", "")]
    assert (step.attempts, step.cost) == (2, 0.25)


def twice() -> Program:
    """Asks the same two times at once."""
    asked = tuple(
        CallStep(name=name, predictor="ask", arguments={"question": var("question")}) for name in ("a", "b")
    )
    returns = {"answer": var("a", "answer"), "again": var("b", "answer")}
    program = looks_up().model_copy(
        update={"steps": asked, "tools": {}, "returns": returns, "outputs": fields(answer=STR, again=STR)}
    )
    priced = {"price_input": 1.0, "price_output": 1.0}
    return program.with_lms({"mini": program.lms["mini"].model_copy(update=priced)})


async def test_what_was_shared_or_kept_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    async with FakeServer(lambda call: said("x"), latency=0.05) as server:
        program = twice()
        lm = program.lms["mini"].model_copy(update={"api_base": server.url})
        program = program.with_lms({"mini": lm})
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            async with Engine(ledger=ledger) as engine:
                first = await run(program, {"question": "q"}, engine, record=True)
                again = await run(program, {"question": "q"}, engine, record=True)
    for outcome, sources in ((first, ["model", "shared"]), (again, ["ledger"] * 2)):
        assert [call.source for step in outcome.trace for call in step.calls] == sources
        costs = [step.cost for step in outcome.trace]
        assert sum(cost or 0.0 for cost in costs) == pytest.approx(outcome.paid.usd)
        spent = sum(call.input_tokens for step in outcome.trace for call in step.asked)
        assert spent == outcome.paid.input_tokens
    assert first.paid.usd > 0
    draw_trace(first.trace)
    paid = first.paid
    shown = capsys.readouterr().err
    assert (
        f"in all: 2 model calls · 1 of them kept from before or shared · "
        f"{paid.input_tokens:,} + {paid.output_tokens:,} tokens" in shown
    )
    spans = spans_of(first.trace)
    counted = [span.attributes or {} for span in spans if span.name.startswith("chat")]
    assert sum("gen_ai.usage.input_tokens" in one for one in counted) == 1
    assert sum("dspec.cost_usd" in one for one in counted) == 1


async def test_attempts_have_their_rewards_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(
        [chat(answer="four"), chat(discussion="d", advice='{"module": "more"}'), chat(answer="five5")]
    )
    program = several("Refine", more=module(question()), runs="module", reward=LENGTH, n=2, threshold=0.8)
    trace = (await run(program, {"question": "q"}, told, record=True)).trace
    assert [(step.step, step.predictor, step.reward, step.dropped, step.hint) for step in trace] == [
        ("out[0]", "module", None, True, ""),
        ("out[0]", "", 0.4, True, ""),
        ("out.advise", "m.advise", None, False, ""),
        ("out[1]", "module", None, False, "more"),
        ("out[1]", "", 0.5, False, ""),
    ]
    assert trace[1].notes == ("feedback: too short for q",)
    assert trace[3].inputs == {"question": "q"}
    draw_trace(trace)
    shown = capsys.readouterr().err
    assert (
        "2. out[0]: a reward of 0.4; the attempt does not count\n   note: feedback: too short for q" in shown
    )
    assert "5. out[1]: a reward of 0.5; the attempt counts" in shown
    assert '   hint = "more"' in shown
    assert "in all: 3 model calls" in shown
    spans = {span.name: span.attributes or {} for span in spans_of(trace)}
    assert spans["reward out[1]"]["gen_ai.evaluation.score.value"] == 0.5
    assert spans["reward out[0]"]["dspec.dropped"] is True
    compiled = (await run(program, {"question": "q"}, Told([chat(answer="eight888")]))).trace
    assert [step.step for step in compiled] == ["out[0]"]


async def test_attempts_that_failed_are_said_where_they_were_made() -> None:
    program = several("BestOfN", more=module(question()), runs="module", reward=LENGTH, n=2, threshold=0.8)
    trace = (await run(program, {"question": "q"}, Told(["", "", chat(answer="x")]), record=True)).trace
    assert [(step.step, step.notes) for step in trace if not step.predictor] == [
        ("out", ("attempt 1 failed: Asked: answer: is missing",)),
        ("out[1]", ("feedback: too short for q",)),
    ]
    told = Told([""] * 4)
    with pytest.raises(ParseError, match=r"^`m`, attempt 2 of 2: Asked: answer: is missing$") as caught:
        await run(program, {"question": "q"}, told, record=True)
    assert caught.value.message == str(caught.value)
    many = several("Majority", more=module(question()), runs="module", n=2, temperature=1.0)
    with pytest.raises(ParseError, match=r"^`m`, answer 1 of 2: Asked: answer: is missing$"):
        await run(many, {"question": "q"}, Told([""] * 4))
    chains = several("MultiChainComparison", m=2, temperature=0.5)
    with pytest.raises(ParseError, match=r"^`m`, attempt 1 of 2: m.chain: "):
        await run(chains, {"question": "q"}, Told([""] * 4))


async def test_a_model_that_takes_no_tools_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    native = LM(name="mini", model="openai/gpt-x", tool_calls="native")
    agent = several("ReAct", tools=[SEARCH], max_iters=2, lm=native)
    enough = chat(next_thought="enough", next_tool_name="finish", next_tool_args="{}")
    told = Told([Refused("no `tools`"), enough, chat(reasoning="so", answer="x")])
    trace = (await run(agent, {"question": "q"}, told, record=True)).trace
    note = "the model takes no tools by the provider's own means: it names them in its text"
    assert [(step.step, step.notes) for step in trace if not step.predictor] == [("out", (note,))]
    assert trace[0].attempts == 2
    draw_trace(trace)
    shown = capsys.readouterr().err
    assert note in shown
    assert "no answer of openai/gpt-x: no `tools`" in shown


async def test_a_vote_says_how_it_went() -> None:
    members = (looks_up(fan_out=1), looks_up(fan_out=1))
    ensemble = Ensemble(
        name="both", inputs=members[0].inputs, outputs=members[0].outputs, members=members, reduce=First()
    )
    outcome = await run(ensemble, {"question": "q"}, Told([said("x"), said("x")]), record=True)
    assert outcome.trace[-1].step == "both"
    assert outcome.trace[-1].notes == outcome.notes


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

    steps = await failed(Told([said("a")], tools={"search": broken}), ToolFailed)
    spans = {span.name: span for span in spans_of(steps)}
    assert set(spans) == {"run lookup", "predict ask", "chat gpt-x", "execute_tool search"}
    assert spans["chat gpt-x"].parent is not None
    assert spans["chat gpt-x"].parent.span_id == spans["predict ask"].context.span_id
    assert not spans["execute_tool search"].status.is_ok
    attributes = spans["chat gpt-x"].attributes
    assert attributes is not None
    assert attributes["gen_ai.usage.output_tokens"] == 5
