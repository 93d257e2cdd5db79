"""How one module asks its model otherwise than the `lm` says, and what becomes of answers that nobody can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from programs import Told, chat, const, fields, module, must, predictor, question
from server import Call, FakeServer

from dspec import load
from dspec.runtime.adapters import adapter
from dspec.runtime.artifact.artifact import Artifact, artifact_text, parse_artifact, write_artifact
from dspec.runtime.artifact.dspy_state import left_behind
from dspec.runtime.errors import ArtifactError, CheckFailed, NotSet, ParseError, Unavailable
from dspec.runtime.models.protocol import Answer
from dspec.runtime.running.execute import run
from dspec.runtime.running.thinking import as_asked
from dspec.runtime.schema.expressions import Constant
from dspec.runtime.schema.lms import LM, OwnSettings
from dspec.runtime.schema.program import Check, Demo, Predictor, Program
from dspec.runtime.schema.types import INT, STR, JsonValue, ListOf, OneOf, Row
from dspec.runtime.schema.usage import Usage

QUESTION: Row = {"question": "Why?"}
MINI = LM(name="mini", model="openai/x", temperature=0.1, max_tokens=100)


def asked(**settings: Any) -> Predictor:
    return question().model_copy(update={"settings": OwnSettings(**settings)})


async def test_a_module_s_own_settings_stand_over_those_of_its_model() -> None:
    own = asked(temperature=0.9, max_tokens=300, top_p=0.5, stop=("END",), adapter="json", parse="strict")
    model = Told(['{"answer": "because"}'])
    await run(module(own, lms={"mini": MINI}), QUESTION, model)
    (request,) = model.requests
    assert request.parameters() | {"response_format": None} == {
        "temperature": 0.9,
        "max_tokens": 300,
        "top_p": 0.5,
        "stop": ["END"],
        "response_format": None,
    }
    assert request.lm.name == "mini"
    assert "JSON" in request.messages[0].content


async def test_a_temperature_of_an_attempt_stands_over_that_of_the_module() -> None:
    model = Told([chat(answer="a")])
    await run(module(asked(temperature=0.9), lms={"mini": MINI}), QUESTION, model, temperature=0.3)
    assert model.requests[0].parameters()["temperature"] == 0.3


async def test_what_is_usual_takes_back_what_the_model_says() -> None:
    lm = MINI.model_copy(update={"tool_calls": "text", "reasoning": "native"})
    found = asked(tool_calls="auto", reasoning="written").asks({"mini": lm})
    assert found is not None
    assert (found.tool_calls, found.reasoning) == (None, None)


async def test_fallbacks_are_asked_as_the_module_says() -> None:
    lms = {
        "mini": MINI.model_copy(update={"fallback": ("other",)}),
        "other": LM(name="other", model="openai/y", temperature=0.2),
    }
    model = Told([Unavailable("down"), chat(answer="a")])
    await run(module(asked(temperature=0.9), lms=lms), QUESTION, model)
    assert [request.parameters()["temperature"] for request in model.requests] == [0.9, 0.9]


def test_a_program_without_settings_is_written_as_it_was() -> None:
    plain = module(question(), lms={"mini": MINI})
    text = artifact_text(Artifact(name="module", program=plain))
    assert "settings" not in text + plain.model_dump_json()
    own = artifact_text(Artifact(name="module", program=module(asked(top_p=0.5), lms={"mini": MINI})))
    assert '"settings": {"top_p": 0.5}' in own
    assert parse_artifact(own.encode()).program.predictors["module"].settings == OwnSettings(top_p=0.5)


async def test_an_application_s_other_model_is_asked_as_the_module_says(tmp_path: Path) -> None:
    lm = MINI.model_copy(
        update={
            "model": "groq/x",
            "headers": {"X-Title": "t"},
            "extra": {"user": "u"},
            "top_k": 5,
        }
    )
    path = tmp_path / "p.dspc.json"
    program = module(asked(temperature=0.9), lms={"mini": lm})
    write_artifact(path, Artifact(name="module", program=program))
    async with FakeServer(lambda call: chat(answer="because")) as server:
        with load(path, lm="openai/other", api_base=server.url) as application:
            assert (await application.acall(question="Why?")).answer == "because"
    (call,) = server.calls
    assert (call.body["model"], call.body["temperature"], call.body["top_k"]) == ("other", 0.9, 5)
    assert "user" not in call.body  # it belonged to the provider that was replaced
    assert "X-Title" not in call.headers


# Hostile artifacts ---------------------------------------------------------------------------------


def test_no_artifact_says_where_a_request_goes_or_with_whose_key() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"headers": {"Authorization": "Bearer abcdefgh"}}, "is where a key stands"),
        ({"headers": {"host": "evil.example"}}, "is written by whatever sends"),
        ({"headers": {"X-Portkey-Custom-Host": "x"}}, "seems to say where requests go"),
        ({"headers": {"X-A": "https://evil.example"}}, "has an address in it"),
        ({"headers": {"X-A": "a\r\nHost: x"}}, "no header can have"),
        ({"headers": {"X A": "a"}}, "is no header's name"),
        ({"headers": {"X-A": "a" * 1001}}, "no header can have"),
        ({"headers": {f"X-{n}": "a" for n in range(21)}}, "at most 20"),
        ({"headers": {"X-A": "a"}, "headers_env": {"x-a": "MY_TOKEN"}}, "none twice"),
        ({"headers_env": {"X-A": "AWS_SECRET_ACCESS_KEY"}}, "is not a variable"),
        ({"headers_env": {"X-A": "DATABASE_URL"}}, "is not a variable"),
        ({"headers_env": {"Cookie": "MY_TOKEN"}}, "is where a key stands"),
        ({"extra": {"api_base": "http://evil.example"}}, "seems to say where requests go"),
        ({"extra": {"n": 10}}, "decides how much is answered"),
        ({"extra": {"options": {"num_predict": 10}}}, "decides how much is answered"),
        ({"extra": {"messages": []}}, "is what a request says by itself"),
        ({"extra": {"a": [{"b": [{"api_key": "x"}]}]}}, "seems to hold a key"),
        ({"extra": {"a": "x" * 10_001}}, "longer than 10,000"),
        ({"api_version": "1&x=2"}, "is not a version"),
        ({"top_p": 1.5}, "must lie in 0..1"),
        ({"stop": ("",)}, "texts of 1 to"),
        ({"on_unreadable": "fallback"}, "there is no lm to fall back to"),
    ]
    for change, said in cases:
        program = module(question(), lms={"mini": MINI.model_copy(update=change)})
        text = artifact_text(Artifact(name="module", program=program)).encode()
        with pytest.raises(ArtifactError) as raised:
            parse_artifact(text)
        assert said in raised.value.message, change


def test_no_artifact_s_module_asks_beyond_what_there_is() -> None:
    for settings in (OwnSettings(temperature=1e9), OwnSettings(max_tokens=0), OwnSettings(stop=("a",) * 65)):
        own = question().model_copy(update={"settings": settings})
        text = artifact_text(Artifact(name="module", program=module(own, lms={"mini": MINI})))
        with pytest.raises(ArtifactError, match=r"predictors\.module\.settings"):
            parse_artifact(text.encode())


# Answers that nobody can read ----------------------------------------------------------------------

TWO = {
    "mini": LM(name="mini", model="openai/x", fallback=("second", "third"), on_unreadable="fallback"),
    "second": LM(name="second", model="openai/y"),
    "third": LM(name="third", model="openai/z"),
}
PAIR = question("answer", "why")


async def test_what_stays_unreadable_goes_to_the_fallbacks_in_their_order() -> None:
    model = Told(["", "", "", "", chat(answer="a", why="b")])
    outcome = await run(module(PAIR, lms=TWO), QUESTION, model)
    assert outcome.outputs == {"answer": "a", "why": "b"}
    assert [request.lm.name for request in model.requests] == ["mini", "mini", "second", "second", "third"]
    # each starts from the question, and is not shown what others said
    assert [len(request.messages) for request in model.requests] == [2, 4, 2, 4, 2]
    assert (outcome.calls, outcome.paid.calls, outcome.paid.usd) == (5, 5, 1.25)
    (step,) = outcome.trace
    assert (step.attempts, step.unreadable) == (5, 4)
    assert "what mini answered could not be read, even when it was asked again: second is asked" in step.notes


async def test_without_the_option_nobody_else_is_asked() -> None:
    lms = TWO | {"mini": TWO["mini"].model_copy(update={"on_unreadable": None})}
    model = Told(["", ""])
    with pytest.raises(ParseError):
        await run(module(PAIR, lms=lms), QUESTION, model)


async def test_the_last_one_s_answer_is_the_error() -> None:
    model = Told(["", "", "", "", "nothing", "nothing"])
    with pytest.raises(ParseError) as raised:
        await run(module(PAIR, lms=TWO), QUESTION, model)
    assert raised.value.raw == "nothing"
    assert raised.value.flaws is not None
    assert raised.value.flaws.unreadable == 6


async def test_a_model_that_was_asked_in_place_of_one_that_failed_is_not_asked_the_same_again() -> None:
    model = Told([Unavailable("down"), "", Unavailable("down"), "", chat(answer="a", why="b")])
    await run(module(PAIR, lms=TWO), QUESTION, model)
    assert [one.lm.name for one in model.requests] == ["mini", "second", "mini", "second", "third"]


async def test_a_fallback_without_a_key_leaves_the_answer_unreadable() -> None:
    model = Told(["", "", NotSet("no key"), NotSet("no key")])
    with pytest.raises(ParseError):
        await run(module(PAIR, lms=TWO), QUESTION, model)


async def test_a_failed_check_starts_with_the_first_model_again() -> None:
    checked = question("answer", checks=(must(const(False), "never"),), max_retries=1)
    lms = TWO | {"mini": TWO["mini"].model_copy(update={"adapter": "chat"})}
    model = Told([chat(answer="a"), chat(answer="b")])
    with pytest.raises(CheckFailed, match="never"):
        await run(module(checked, lms=lms), QUESTION, model)
    assert [one.lm.name for one in model.requests] == ["mini", "mini"]


# The model's own reasoning ------------------------------------------------------------------------

OWN = LM(name="mini", model="openai/r1", api_base="http://h/v1", reasoning="native")


def thinking(lm: LM = OWN) -> Program:
    made = predictor(fields(question=STR), fields(reasoning=STR, answer=STR))
    demo = Demo(inputs={"question": "1+1?"}, outputs={"reasoning": "one more", "answer": "2"})
    return module(made.model_copy(update={"strategy": "ChainOfThought", "demos": (demo,)}), lms={"mini": lm})


async def test_a_chain_of_thought_takes_the_model_s_own_reasoning() -> None:
    model = Told([Answer(chat(answer="because"), Usage(10, 50), 0.25, reasoning="It may be so.")])
    outcome = await run(thinking(), QUESTION, model)
    assert outcome.outputs == {"reasoning": "It may be so.", "answer": "because"}
    assert outcome.trace[0].outputs["reasoning"] == "It may be so."
    (request,) = model.requests
    assert request.reasoning
    told = "".join(message.content for message in request.messages)
    assert "reasoning" not in told
    assert "one more" not in told  # of a demo, too


async def test_a_model_that_tells_nothing_is_said_to() -> None:
    outcome = await run(thinking(), QUESTION, Told([chat(answer="because")]))
    assert outcome.outputs == {"reasoning": "", "answer": "because"}
    assert "reasoning: the model did not tell what it thought" in outcome.trace[0].notes


@pytest.mark.parametrize(
    "lm",
    [
        OWN.model_copy(update={"reasoning": None}),
        LM(name="mini", model="openai/gpt-5-mini", reasoning="native"),
        LM(name="mini", model="mistral/mistral-large-latest", reasoning="native"),
        LM(name="mini", model="embedded/icl", reasoning="native"),
    ],
)
async def test_where_a_model_gives_none_the_reasoning_is_written(lm: LM) -> None:
    model = Told([chat(reasoning="So.", answer="because")])
    outcome = await run(thinking(lm), QUESTION, model)
    assert outcome.outputs == {"reasoning": "So.", "answer": "because"}
    assert not model.requests[0].reasoning


async def test_it_is_asked_again_for_what_cannot_be_read_and_keeps_its_thought() -> None:
    made = predictor(fields(question=STR), fields(reasoning=STR, answer=STR, why=STR))
    program = module(made.model_copy(update={"strategy": "ChainOfThought"}), lms={"mini": OWN})
    first = Answer(chat(answer="a"), Usage(1, 1), 0.0, reasoning="Thought first.")
    outcome = await run(program, QUESTION, Told([first, chat(why="b")]))
    assert outcome.outputs == {"reasoning": "Thought first.", "answer": "a", "why": "b"}


def test_only_a_text_of_that_name_before_the_others_is_thought() -> None:
    for outputs in (
        fields(answer=STR, reasoning=STR),
        fields(reasoning=STR),
        fields(reasoning=INT, answer=STR),
    ):
        other = predictor(fields(question=STR), outputs)
        assert as_asked(other, OWN) is other
    told = as_asked(thinking().predictors["module"], OWN)
    assert [one.name for one in told.signature.outputs] == ["answer"]
    assert adapter("chat").render(told, QUESTION, {})


async def test_replays_have_the_same_reasoning(tmp_path: Path) -> None:
    def answer(call: Call) -> dict[str, JsonValue]:
        return {"content": chat(answer="because"), "reasoning_content": f"thought {call.number}"}

    path = tmp_path / "p.dspc.json"
    write_artifact(path, Artifact(name="module", program=thinking()))
    seen: list[tuple[JsonValue, JsonValue]] = []
    async with FakeServer(answer) as server:
        for _ in range(2):
            with load(path, api_base=server.url, cache=tmp_path / "cache.sqlite") as application:
                found = await application.acall(question="Why?")
            seen.append((found.reasoning, found.answer))
    assert seen == [("thought 1", "because")] * 2
    assert len(server.calls) == 1


def test_an_export_says_what_stays_behind() -> None:
    assert left_behind(module(question(), lms={"mini": MINI})) == []
    (said,) = left_behind(module(asked(temperature=0.9, top_p=0.5), lms={"mini": MINI}))
    assert said.startswith("module: `top_p`, `temperature`: ")
    (said,) = left_behind(thinking())
    assert "its model's own reasoning" in said
    meant = ListOf(item=OneOf(values=("a", "b"), notes=("first", "")))
    labelled = module(question(), lms={"mini": MINI})
    (address,) = labelled.predictors
    signature = labelled.predictors[address].signature
    told = Check(
        kind="assert", condition=Constant(value=True), message=Constant(value="no"), told="It is short."
    )
    answer = signature.outputs[0].model_copy(update={"type": meant})
    signature = signature.model_copy(update={"outputs": (answer,), "checks": (told,)})
    changed = labelled.predictors[address].model_copy(update={"signature": signature})
    labelled = labelled.model_copy(update={"predictors": {address: changed}})
    assert left_behind(labelled) == [
        f"{address}: what the labels of `answer` mean: say it in the field's `desc`",
        f"{address}: what its `assert`s demand: say it in the signature's docstring",
    ]
