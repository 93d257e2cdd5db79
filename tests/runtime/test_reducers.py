"""A program that makes one answer of the members': what it is given, what it costs, and what a file may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from programs import Told, chat, fields, module, predictor, question

from dspec import load
from dspec.runtime.artifact.artifact import Artifact, artifact_text, parse_artifact, write_artifact
from dspec.runtime.errors import ArtifactError, ParseError, Refused
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.running.election import ballot
from dspec.runtime.running.execute import run
from dspec.runtime.schema.ensemble import ByProgram, Ensemble, collected, everywhere, parts
from dspec.runtime.schema.program import LM, Program
from dspec.runtime.schema.types import INT, STR, JsonValue, ListOf, Type

JUDGE = LM(name="judge", model="openai/judge", api_base="http://judge.example/v1")


def member(word: str) -> Program:
    return module(question(instruction=f"Say {word}."))


def judge(lm: LM = JUDGE) -> Program:
    asked = predictor(
        fields(question=STR, answers=ListOf(item=STR)), fields(answer=STR), instruction="Pick.", lm="judge"
    )
    return module(asked, lms={"judge": lm})


def ensemble(*words: str, reducer: Program | None = None) -> Ensemble:
    members = tuple(map(member, words))
    made = reducer or judge()
    return Ensemble(
        name="vote",
        inputs=members[0].inputs,
        outputs=made.outputs,
        members=members,
        reduce=ByProgram(program=made),
    )


async def answers(request: Request) -> str:
    text = request.messages[0].content
    if "Pick." in text:
        return chat(answer="a" if '"a"' in request.messages[-1].content else "none")
    if "garbled" in text:
        return ""
    return chat(answer=text.split("Say ")[1][0])


async def test_it_is_given_the_answers_and_the_question() -> None:
    told = Told(answers)
    outcome = await run(ensemble("b", "a", "b"), {"question": "which?"}, told)
    assert outcome.outputs == {"answer": "a"}
    last = told.requests[-1]
    assert last.lm.name == "judge"
    assert '["b", "a", "b"]' in last.messages[-1].content
    assert "which?" in last.messages[-1].content
    # What it says is what the second member said, so that one's run is what can be learned from.
    assert outcome.trace[0].outputs == {"answer": "a"}
    assert outcome.notes == ("1 of 3 members agreed",)
    assert outcome.calls == calls_per_run(ensemble("b", "a", "b")) == 4
    assert outcome.paid.usd == 1.0


async def test_what_no_member_said_has_no_run_to_learn_from() -> None:
    outcome = await run(ensemble("b", "c"), {"question": "which?"}, Told(answers))
    assert outcome.outputs == {"answer": "none"}
    assert outcome.trace == ()


async def test_a_member_without_an_answer_is_left_out_and_none_is_the_end() -> None:
    told = Told(answers)
    outcome = await run(ensemble("a", "garbled"), {"question": "which?"}, told)
    assert '["a"]' in told.requests[-1].messages[-1].content
    assert outcome.notes[-1].startswith("1 had no usable answer")
    with pytest.raises(ParseError):
        await run(ensemble("garbled", "garbled again"), {"question": "which?"}, Told(answers))


async def test_its_own_failures_are_the_ensembles() -> None:
    async def refuses(request: Request) -> str:
        if "Pick." in request.messages[0].content:
            raise Refused("blocked")
        return await answers(request)

    with pytest.raises(Refused):
        await run(ensemble("a", "b"), {"question": "which?"}, Told(refuses))

    async def mumbles(request: Request) -> str:
        return "" if "Pick." in request.messages[0].content else await answers(request)

    with pytest.raises(ParseError):
        await run(ensemble("a", "b"), {"question": "which?"}, Told(mumbles))


@pytest.mark.parametrize(
    ("name", "kind", "output"),
    [
        ("answer", ListOf(item=STR), "answer"),
        ("answers", ListOf(item=STR), "answer"),
        ("answers", ListOf(item=INT), None),
        ("answer", STR, None),
        ("other", ListOf(item=STR), None),
        ("gases", ListOf(item=STR), "gases"),
    ],
)
def test_which_output_an_input_collects(name: str, kind: Type, output: str | None) -> None:
    assert collected(name, kind, {"answer": STR, "gases": STR, "gase": STR}) == output


def test_its_models_are_the_ensembles_and_its_address_stays_here(tmp_path: Path) -> None:
    made = ensemble("a", "b")
    assert made.lms.keys() == {"mini", "judge"}
    other = JUDGE.model_copy(update={"model": "openai/other"})
    assert made.with_lms({"judge": other}).lms["judge"] == other
    assert len(parts(made)) == 3
    assert everywhere(made, lambda one: one.model_copy(update={"name": "x"})).reducer is not None
    path = tmp_path / "vote.dspc.json"
    write_artifact(path, Artifact(name="vote", kind="ensemble", program=made))
    assert "judge.example" not in path.read_text()
    text = artifact_text(Artifact(name="vote", kind="ensemble", program=made))
    assert artifact_text(parse_artifact(text.encode())) == text
    with pytest.raises(Exception, match="`judge`"):
        load(path, api_base={"mini": "http://127.0.0.1:9/v1"})
    load(path, api_base={"judge": "http://127.0.0.1:9/v1"}).close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": [{"name": "weather", "type": {"kind": "scalar", "name": "str"}}]}, "nothing called"),
        ({"outputs": []}, "reduce.program.outputs: `answer` is not as the ensemble has it"),
        ({"predictors": {}}, "there is no predictor `module`"),
    ],
)
def test_a_broken_reducer_is_refused(change: dict[str, JsonValue], message: str) -> None:
    plain = json.loads(artifact_text(Artifact(name="v", kind="ensemble", program=ensemble("a", "b"))))
    plain["program"]["reduce"]["program"] |= change
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(plain).encode())
    assert message in caught.value.message


def test_nothing_is_put_to_a_vote_where_no_one_answered() -> None:
    assert ballot(ensemble("a", "b"), {"question": "q"}, [None, None]) is None
    assert ballot(ensemble("a", "b"), {"question": "q"}, [None, {"answer": "x"}]) == {
        "question": "q",
        "answers": ["x"],
    }
