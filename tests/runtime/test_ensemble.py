"""Ensembles: which members answer, how their answers become one, and what a file may hold."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import Told, chat, fields, module, question

from dspec import load
from dspec.runtime.artifact.artifact import Artifact, artifact_text, kind_of, parse_artifact, write_artifact
from dspec.runtime.errors import ArtifactError, InputError, ParseError, Refused
from dspec.runtime.models.background import shutdown
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.running.election import drawn, elect
from dspec.runtime.running.execute import run
from dspec.runtime.schema.ensemble import Ensemble, First, Majority, Mean, Reducer, each, programs
from dspec.runtime.schema.program import LM, Program
from dspec.runtime.schema.types import FLOAT, STR, JsonValue, OneOf, OptionalOf, Row, Type


def member(instruction: str = "Answer.", kind: Type = STR) -> Program:
    asked = question(instruction=instruction)
    signature = asked.signature.model_copy(update={"outputs": fields(answer=kind)})
    return module(asked.model_copy(update={"signature": signature}))


def ensemble(*members: Program, reduce: Reducer | None = None, **more: object) -> Ensemble:
    first, *_ = members
    settings = {"size": None, "seed": 0, **more}
    return Ensemble(
        name="vote",
        inputs=first.inputs,
        outputs=first.outputs,
        members=members,
        reduce=reduce or Majority(field="answer"),
        **settings,  # type: ignore[arg-type]
    )


def voted(*answers: JsonValue, kind: Type = STR, reduce: Reducer | None = None) -> JsonValue:
    """The answer that wins; None stands for a member without a usable one."""
    votes = ensemble(*(member(kind=kind) for _ in answers), reduce=reduce)
    rows: list[Row | None] = [None if answer is None else {"answer": answer} for answer in answers]
    election = elect(votes, rows)
    return None if election is None else election.outputs["answer"]


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["a b", "c", "a b"], "a b"),
        # Compared without case, punctuation and articles; the first original is given.
        (["Paris.", "Rome", "the PARIS", "paris"], "Paris."),
        # Ties go to the earliest.
        (["x", "y", "y", "x"], "x"),
        # What is empty once normalised has no vote, unless all are.
        (["...", "the", "!", "Rome"], "Rome"),
        (["...", "the"], "..."),
        ([None, "y", None], "y"),
        ([None, None], None),
    ],
)
def test_majority_is_dspys(answers: list[JsonValue], winner: JsonValue) -> None:
    assert voted(*answers) == winner


def test_values_of_a_closed_set_are_compared_as_they_are() -> None:
    kind = OneOf(values=("c", "c++", "the"))
    assert voted("c++", "c", "c", kind=kind) == "c"
    assert voted("c", "the", "the", kind=OptionalOf(item=kind)) == "the"
    # As text, "c" and "c++" are one answer, and "the" is none.
    assert voted("c++", "c", "c") == "c++"


def test_other_values_are_compared_whole() -> None:
    assert voted([1, 2], [2, 1], [2, 1]) == [2, 1]
    assert voted(True, False, False) is False
    assert voted({"a": 1, "b": 2}, {"c": 1}, {"b": 2, "a": 1}) == {"a": 1, "b": 2}


def test_the_mean_keeps_the_rest_of_the_member_nearest_to_it() -> None:
    both = ensemble(
        *(module(question("score", "why")) for _ in range(3)), reduce=Mean(field="score")
    ).model_copy(update={"outputs": fields(score=FLOAT, why=STR)})
    rows: list[Row | None] = [
        {"score": 0.0, "why": "low"},
        {"score": 1, "why": "high"},
        {"score": 0.8, "why": "mid"},
    ]
    election = elect(both, rows)
    assert election is not None
    assert election.outputs == {"score": 0.6, "why": "mid"}
    assert (election.elected, election.agreed) == (2, 3)
    assert voted(True, None, reduce=Mean(field="answer")) is True


def test_first_passes_over_members_without_an_answer() -> None:
    assert voted(None, "b", "c", reduce=First()) == "b"


def test_outputs_that_only_some_members_have_are_left_out() -> None:
    more = module(question("why", "answer"))
    both = ensemble(member(), more)
    election = elect(both, [None, {"why": "so", "answer": "x"}])
    assert election is not None
    assert election.outputs == {"answer": "x"}


@given(st.lists(st.sampled_from(["x", "X.", "b", "the b", "", "..."]), min_size=1, max_size=9))
def test_a_majority_is_one_of_the_answers_and_no_other_has_more_votes(answers: list[str]) -> None:
    winner = voted(*answers)
    assert winner in answers
    keys = [answer.lower().strip(".").removeprefix("the ").strip() for answer in answers]
    mine = keys[answers.index(str(winner))]
    filled = [key for key in keys if key]
    assert not filled or filled.count(mine) == max(map(filled.count, filled))


# Drawing ------------------------------------------------------------------------------------------


def test_size_members_are_drawn_by_seed_and_input() -> None:
    five = ensemble(*(member(str(number)) for number in range(5)), size=3, seed=1)
    draws = {n: drawn(five, {"question": f"q{n}"}) for n in range(60)}
    assert all(len(set(places)) == 3 and list(places) == sorted(places) for places in draws.values())
    assert drawn(five, {"question": "q0"}) == draws[0]
    assert len(set(draws.values())) > 5
    assert {place for places in draws.values() for place in places} == set(range(5))
    other = five.model_copy(update={"seed": 2})
    assert any(drawn(other, {"question": f"q{n}"}) != draws[n] for n in range(60))
    assert drawn(five.model_copy(update={"size": 5}), {}) == (0, 1, 2, 3, 4)


async def test_exactly_the_drawn_members_are_asked() -> None:
    five = ensemble(*(member(f"Member {number}.") for number in range(5)), size=2, seed=3)
    told = Told([chat(answer="x")] * 2)
    outcome = await run(five, {"question": "q"}, told)
    asked = sorted(request.messages[0].content.count("Member") for request in told.requests)
    assert asked == [1, 1]
    assert outcome.calls == calls_per_run(five) == 2


# Running ------------------------------------------------------------------------------------------


def by_member(**answers: str) -> Told:
    """Answers by the member's instruction, which is one word."""

    async def answer(request: Request) -> str:
        await asyncio.sleep(0.001 * len(answers))
        system = request.messages[0].content
        return next(chat(answer=text) if text else "?" for name, text in answers.items() if name in system)

    return Told(answer)


async def test_members_answer_at_the_same_time_and_the_elected_ones_trace_is_kept() -> None:
    waiting = 0
    most = 0

    async def answer(request: Request) -> str:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.01)
        waiting -= 1
        return chat(answer="yes" if "One" in request.messages[0].content else "no")

    outcome = await run(
        ensemble(member("One"), member("Two"), member("Three")), {"question": "q"}, Told(answer)
    )
    assert most == 3
    assert outcome.outputs == {"answer": "no"}
    assert outcome.trace[0].outputs == {"answer": "no"}
    assert outcome.notes == ("2 of 3 members agreed",)
    assert (outcome.calls, outcome.paid.input_tokens) == (3, 30)


async def test_a_member_without_a_usable_answer_has_no_vote() -> None:
    kind = OneOf(values=("fine", "bad"))
    both = ensemble(member("One", kind), member("Two", kind))
    outcome = await run(both, {"question": "q"}, by_member(One="", Two="fine"))
    assert outcome.outputs == {"answer": "fine"}
    assert outcome.notes[0] == "1 of 2 members agreed"
    assert outcome.notes[1].startswith("1 had no usable answer: ")
    # The member that was given up on was asked twice, and that was paid for.
    assert outcome.calls == 3
    with pytest.raises(ParseError):
        await run(both, {"question": "q"}, by_member(One="", Two=""))


async def test_a_providers_failure_is_no_missing_vote() -> None:
    async def answer(request: Request) -> str:
        if "One" in request.messages[0].content:
            raise Refused("blocked")
        return chat(answer="fine")

    with pytest.raises(Refused):
        await run(ensemble(member("One"), member("Two")), {"question": "q"}, Told(answer))


async def test_inputs_are_checked_once_under_the_ensembles_name() -> None:
    with pytest.raises(InputError, match="`vote` takes question: str"):
        await run(ensemble(member(), member()), {}, Told([]))


# Files --------------------------------------------------------------------------------------------


def saved(program: Program | Ensemble) -> Artifact:
    return Artifact(kind=kind_of(program), name="vote", program=program)


@pytest.mark.parametrize("reduce", [Majority(field="answer"), First()])
def test_saving_an_ensemble_loses_nothing(reduce: Reducer) -> None:
    made = ensemble(member("One"), member("Two"), reduce=reduce, size=1, seed=7)
    text = artifact_text(saved(made))
    back = parse_artifact(text.encode())
    assert back == saved(made)
    assert artifact_text(back) == text
    assert json.loads(text)["kind"] == "ensemble"


def test_an_ensemble_is_loaded_and_called(tmp_path: Path) -> None:
    path = tmp_path / "vote.dspc.json"
    kind = OneOf(values=("yes", "no"))
    write_artifact(path, saved(ensemble(*(member(str(n), kind) for n in range(3)))))
    try:
        with load(path, lm="embedded/icl") as application:
            prediction = application(question="Is it?")
            assert prediction.answer in ("yes", "no")
            assert prediction.usage.calls == 3
            assert repr(application) == "<dspec program vote(question) -> (answer)>"
            models = [lm.model for one in programs(application.program) for lm in one.lms.values()]
            assert models == ["embedded/icl"] * 3
    finally:
        shutdown()


def test_no_address_of_any_member_is_written() -> None:
    lms = {"mini": LM(name="mini", model="openai/m", api_base="http://10.0.0.9/v1")}
    made = each(ensemble(member(), member()), lambda one: one.with_lms(lms))
    text = artifact_text(saved(made))
    assert "10.0.0.9" not in text
    assert text.count('"custom_endpoint": true') == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": []}, "program.members"),
        ({"size": 3}, "program.size: must lie in 1..2"),
        ({"size": 0}, "program.size: must lie in 1..2"),
        ({"reduce": {"kind": "majority", "field": "gone"}}, "there is no output `gone`"),
        ({"reduce": {"kind": "mean", "field": "answer"}}, "`answer` is not a float"),
        ({"reduce": {"kind": "python", "field": "os:system"}}, "program.reduce"),
        ({"outputs": []}, "an ensemble without outputs"),
        ({"inputs": []}, "program.members[0].inputs: `question` is not as the ensemble has it"),
    ],
)
def test_a_broken_ensemble_is_refused(change: dict[str, JsonValue], message: str) -> None:
    plain = json.loads(artifact_text(saved(ensemble(member(), member()))))
    plain["program"] |= change
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(plain).encode())
    assert message in caught.value.message


def test_a_broken_member_is_named_by_its_place() -> None:
    plain = json.loads(artifact_text(saved(ensemble(member(), member()))))
    plain["program"]["members"][1]["predictors"]["module"]["lm"] = "gone"
    with pytest.raises(
        ArtifactError, match=r"program\.members\[1\]\.predictors\.module: there is no lm `gone`"
    ):
        parse_artifact(json.dumps(plain).encode())
    plain = json.loads(artifact_text(saved(ensemble(member(), member()))))
    plain["program"]["members"][1]["lms"]["mini"]["temperature"] = 0.5
    with pytest.raises(ArtifactError, match="another member has another model of this name"):
        parse_artifact(json.dumps(plain).encode())
    plain["kind"] = "program"
    with pytest.raises(ArtifactError, match="kind: is 'program'"):
        parse_artifact(json.dumps(plain).encode())
