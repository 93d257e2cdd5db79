"""Streaming as an application sees it: fields as they come, and what counts no more."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from programs import Told, call, chat, const, fields, module, must, predictor, question, var
from server import FakeServer

from dspec import AsyncAnswerStream, FieldValue, Prediction, StreamEvent, TextPiece, Withdrawn
from dspec.runtime.application import Application, load, of_program
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import CheckFailed, ParseError, ProviderError
from dspec.runtime.models.background import shutdown
from dspec.runtime.running.execute import run
from dspec.runtime.schema.ensemble import Ensemble, First
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import CallStep, CheckStep, Graph, Predictor, Program, RunStep
from dspec.runtime.schema.types import FLOAT, STR, OneOf, Row

SAY = predictor(fields(text=STR), fields(thought=STR, label=OneOf(values=("good", "bad")), score=FLOAT))
ANSWER = chat(thought="It is so, and so on, for a while.", label="good", score="0.5")


@pytest.fixture(autouse=True)
def _stopped() -> Iterable[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def on(server: FakeServer, asked: Predictor | Program = SAY, **settings: object) -> Application:
    lm = LM.model_validate(
        {"name": "mini", "model": "hosted_vllm/m", "api_base": server.url, "timeout": 5, **settings}
    )
    lms = {"mini": lm}
    program = module(asked, lms=lms) if isinstance(asked, Predictor) else asked.with_lms(lms)
    return of_program(program)


def told(events: Iterable[StreamEvent]) -> dict[str, object]:
    """What counts of the events in the end, by field."""
    values: dict[str, Any] = {}
    for event in events:
        match event:
            case TextPiece(field=field, text=text):
                values[field] = values.get(field, "") + text
            case FieldValue(field=field, value=value):
                if isinstance(value, str) and field in values:
                    assert value == values[field]
                values[field] = value
            case Withdrawn(field=field):
                del values[field]
    return values


async def failing(
    stream: AsyncAnswerStream[Prediction, Row], error: type[Exception], match: str | None = None
) -> list[StreamEvent]:
    """What is told until it raises the error."""
    events: list[StreamEvent] = []

    async def collect() -> None:
        async for event in stream:
            events.append(event)  # noqa: PERF401  # those before the error count

    with pytest.raises(error, match=match):
        await collect()
    return events


async def test_fields_come_as_they_are_written() -> None:
    async with FakeServer(lambda call: ANSWER, trickle=0.002) as server:
        stream = on(server).astream(text="x")
        seen = [(event, dict(stream.values)) async for event in stream]
        result = await stream.result()
    assert result.outputs == {"thought": "It is so, and so on, for a while.", "label": "good", "score": 0.5}
    assert told(event for event, _ in seen) == result.outputs
    pieces = [event for event, _ in seen if isinstance(event, TextPiece)]
    assert len(pieces) > 4
    assert {event.field for event in pieces} == {"thought"}
    assert {(event.output, event.step, event.predictor) for event, _ in seen} == {(True, "out", "module")}
    order = [event.field for event, _ in seen if isinstance(event, FieldValue)]
    assert order == ["thought", "label", "score"]
    first = next(values for event, values in seen if isinstance(event, FieldValue) and event.field == "label")
    assert first == {"thought": "It is so, and so on, for a while.", "label": "good"}
    assert result.usage.calls == 1


async def test_from_plain_code_in_another_thread() -> None:
    async with FakeServer(lambda call: ANSWER, trickle=0.001) as server:
        program = on(server)

        def use() -> tuple[list[StreamEvent], object]:
            with program.stream(text="x") as stream:
                return list(stream), stream.result.score

        events, score = await asyncio.to_thread(use)
        assert await asyncio.to_thread(lambda: program.stream(text="y").result.label) == "good"
    assert told(events)["thought"] == "It is so, and so on, for a while."
    assert score == 0.5


async def test_what_was_kept_streams_at_once_and_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "say.dspc.json"
    lm = LM(name="mini", model="hosted_vllm/m", api_base_env="BASE", api_key_env="KEY")
    write_artifact(path, Artifact(name="say", program=module(SAY, lms={"mini": lm})))
    async with FakeServer(lambda call: ANSWER) as server:
        program = load(path, api_base=server.url, api_key="none", cache=tmp_path / "kept.sqlite")
        first = await program.acall(text="x")
        stream = program.astream(text="x")
        events = [event async for event in stream]
        again = await program.astream(text="y").result()
        third = await program.acall(text="y")
    assert len(server.calls) == 2
    assert [type(event) for event in events] == [FieldValue] * 3
    assert told(events) == first.outputs
    assert (await stream.result()).usage.replayed == 1
    assert (again.usage.replayed, third.usage.replayed) == (0, 1)
    assert again.outputs == third.outputs


@pytest.mark.parametrize("fault", ["cut", "reset", "malformed", "error"])
async def test_an_attempt_that_fails_is_withdrawn(fault: str) -> None:
    async with FakeServer(lambda call: ANSWER, faults=[fault]) as server:
        stream = on(server).astream(text="x")
        events = [event async for event in stream]
    withdrawn = [event for event in events if isinstance(event, Withdrawn)]
    assert [(event.field, event.why) for event in withdrawn] == [
        ("thought", "the answer was not whole, and is asked for again")
    ]
    assert told(events) == (await stream.result()).outputs


async def test_an_answer_that_is_asked_for_again_is_withdrawn() -> None:
    answers = [chat(thought="First.", label="good", score="much"), chat(score="0.25")]
    async with FakeServer(lambda call: answers[call.number - 1]) as server:
        stream = on(server).astream(text="x")
        events = [event async for event in stream]
    assert [event.field for event in events if isinstance(event, Withdrawn)] == ["thought", "label"]
    assert told(events) == {"thought": "First.", "label": "good", "score": 0.25}
    assert "stream" not in server.calls[1].body


async def test_a_refused_answer_is_withdrawn_and_the_call_fails() -> None:
    check = must(const(False), "it must be otherwise")
    asked = SAY.model_copy(
        update={"signature": SAY.signature.model_copy(update={"checks": (check,), "max_retries": 1})}
    )
    async with FakeServer(lambda call: ANSWER) as server:
        stream = on(server, asked).astream(text="x")
        events = await failing(stream, CheckFailed, match="it must be otherwise")
        with pytest.raises(CheckFailed):
            await stream.result()
    assert told(events) == {}
    assert stream.values == {}
    assert [event.why for event in events if isinstance(event, Withdrawn)][:1] == [
        "asked again: it must be otherwise"
    ]
    assert sum(isinstance(event, Withdrawn) for event in events) == 6


async def test_a_model_that_does_not_answer_leaves_nothing() -> None:
    async with FakeServer(lambda call: ANSWER, faults={"cut": 1.0}) as server:
        stream = on(server, retry=1, retry_said=True).astream(text="x")
        events = await failing(stream, ProviderError)
    assert told(events) == {}


async def test_a_fallback_answers_after_what_was_withdrawn() -> None:
    async with (
        FakeServer(lambda call: ANSWER, faults={"cut": 1.0}) as server,
        FakeServer(lambda call: ANSWER) as well,
    ):
        lms = {
            "mini": LM(
                name="mini",
                model="hosted_vllm/m",
                api_base=server.url,
                retry=0,
                retry_said=True,
                fallback=("big",),
            ),
            "big": LM(name="big", model="hosted_vllm/b", api_base=well.url),
        }
        stream = of_program(module(SAY, lms=lms)).astream(text="x")
        events = [event async for event in stream]
    assert sum(isinstance(event, Withdrawn) for event in events) == 1
    assert told(events) == (await stream.result()).outputs


async def test_words_without_a_layout_are_told_at_the_end() -> None:
    async with FakeServer(lambda call: json.dumps({"thought": "So.", "label": "good", "score": 1})) as server:
        events = [event async for event in on(server).astream(text="x")]
    assert [type(event) for event in events] == [FieldValue] * 3


async def test_what_the_whole_answer_says_otherwise_is_withdrawn() -> None:
    """The reader of parts knows no section of two spellings; the whole reading asks for it again."""
    answers = [
        "[[ ## thought ## ]]\nOne.\n\n[[ ## thought ## ]]\nTwo.\n\n[[ ## label ## ]]\ngood\n\n[[ ## score ## ]]\n1\n\n[[ ## completed ## ]]",
        chat(thought="Three."),
    ]
    async with FakeServer(lambda call: answers[call.number - 1]) as server:
        stream = on(server).astream(text="x")
        events = [event async for event in stream]
    assert (
        told(events)
        == (await stream.result()).outputs
        == {"thought": "Three.", "label": "good", "score": 1.0}
    )


def two_steps(*checks: CheckStep, inner: bool = False) -> Program:
    draft, final = question("answer"), question("answer")
    first = CallStep(name="draft", predictor="draft", arguments={"question": var("question")})
    second = CallStep(name="final", predictor="final", arguments={"question": var("draft", "answer")})
    graph: dict[str, Any] = {
        "inputs": fields(question=STR),
        "outputs": fields(answer=STR),
        "steps": (first, *checks, second),
        "returns": {"answer": var("final", "answer")},
    }
    program: dict[str, Any] = {
        "predictors": {"draft": draft, "final": final},
        "lms": {"mini": LM(name="mini", model="openai/m")},
    }
    if not inner:
        return Program(name="two", **graph, **program)
    step = RunStep(name="both", runs="inside", arguments={"question": var("question")})
    outside = {**graph, "steps": (step,), "returns": {"answer": var("both", "answer")}}
    return Program(name="two", **outside, **program, graphs={"inside": Graph(name="inside", **graph)})


@pytest.mark.parametrize("inner", [False, True])
async def test_inner_predictors_are_heard_where_that_is_asked_for(inner: bool) -> None:
    def answer(call: Any) -> str:
        return chat(answer="The end of it." if call.number == 2 else "A draft of it.")

    async with FakeServer(answer) as server:
        program = on(server, two_steps(inner=inner))
        events = [event async for event in program.astream(question="?", inner=True)]
    async with FakeServer(answer) as server:
        plain = [event async for event in on(server, two_steps(inner=inner)).astream(question="?")]
    path = "both." if inner else ""
    assert {(event.step, event.predictor, event.output) for event in events} == {
        (f"{path}draft", "draft", False),
        (f"{path}final", "final", True),
    }
    assert told(plain) == {"answer": "The end of it."}
    assert any(isinstance(event, TextPiece) for event in plain)
    assert plain == [event for event in events if event.output]


async def test_a_check_between_steps_withdraws_what_follows_from_the_step() -> None:
    check = CheckStep(
        check=must(call("contains", var("draft", "answer"), const("2")), "say 2"), blames="draft"
    )
    seen: list[StreamEvent] = []
    script = [chat(answer="draft 1"), chat(answer="draft 2"), chat(answer="end")]
    outcome = await run(two_steps(check), {"question": "?"}, Told(script), tell=seen.append)
    assert outcome.outputs == {"answer": "end"}
    assert [(event.field, event.step) for event in seen if isinstance(event, Withdrawn)] == [
        ("answer", "draft")
    ]


async def test_an_ensembles_outputs_come_at_the_end() -> None:
    lms = {"mini": LM(name="mini", model="openai/m")}
    members = tuple(module(SAY, lms=lms) for _ in range(2))
    ensemble = Ensemble(
        name="both", inputs=members[0].inputs, outputs=members[0].outputs, members=members, reduce=First()
    )
    seen: list[StreamEvent] = []
    outcome = await run(ensemble, {"text": "x"}, Told([ANSWER, ANSWER]), tell=seen.append)
    assert [type(event) for event in seen] == [FieldValue] * 3
    assert told(seen) == outcome.outputs


async def test_two_steps_come_at_the_end() -> None:
    answers = ["It is good, half of it.", ANSWER]
    async with FakeServer(lambda call: answers[call.number - 1]) as server:
        stream = on(server, adapter="two_step").astream(text="x")
        events = [event async for event in stream]
    assert [type(event) for event in events] == [FieldValue] * 3
    assert not any("stream" in call.body for call in server.calls)


async def test_who_stops_listening_gives_the_call_up() -> None:
    async with FakeServer(lambda call: ANSWER, trickle=0.05) as server:
        program = on(server)
        async with program.astream(text="x") as stream:
            async for _ in stream:
                break
        for _ in range(100):
            if server.hung_up:
                break
            await asyncio.sleep(0.01)
        assert server.hung_up == 1
        assert program.history() == []

        def use() -> None:
            for _ in program.stream(text="y"):
                return

        await asyncio.to_thread(use)
        for _ in range(100):
            if server.hung_up == 2:
                break
            await asyncio.sleep(0.01)
        assert server.hung_up == 2


async def test_a_stream_has_its_time_like_any_call() -> None:
    async with FakeServer(lambda call: ANSWER, trickle=0.05) as server:
        stream = on(server).astream(text="x", timeout=0.2)
        await failing(stream, ProviderError, match=r"no result within 0.2 s")


@pytest.mark.parametrize("adapter", ["json", "xml"])
async def test_other_layouts_stream_too(adapter: str) -> None:
    texts = {
        "json": json.dumps({"thought": "It is\nso.", "label": "bad", "score": 2}),
        "xml": "<thought>\nIt is\nso.\n</thought>\n<label>\nbad\n</label>\n<score>\n2\n</score>",
    }
    async with FakeServer(lambda call: texts[adapter]) as server:
        stream = on(server, adapter=adapter).astream(text="x")
        events = [event async for event in stream]
    assert any(isinstance(event, TextPiece) for event in events)
    assert (
        told(events)
        == (await stream.result()).outputs
        == {"thought": "It is\nso.", "label": "bad", "score": 2.0}
    )
    assert not any(isinstance(event, Withdrawn) for event in events)


async def test_an_unreadable_answer_is_withdrawn() -> None:
    async with FakeServer(lambda call: chat(thought="So.", label="neither", score="1")) as server:
        stream = on(server).astream(text="x")
        events = await failing(stream, ParseError)
    assert told(events) == {}
