"""BootstrapFinetune: what accepted runs teach is what a run sends, to the byte, and who is trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Asked, classifier, exact, group, jitter, oracle, pipeline, rows, wrong
from stepping import Stepped, step
from tuning_server import Provider, provider

from dspec.compiler import ir
from dspec.compiler.optimizers.base import OptimizerError
from dspec.compiler.optimizers.training import service
from dspec.compiler.optimizers.training.hosted import HostedTrainer
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.ensemble import Ensemble, Majority
from dspec.runtime.schema.program import LM, Demo, Program

TRAIN = rows(8)
KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(service, "TRAINERS", {"hosted": HostedTrainer(every=0.01)})


@pytest.fixture
def server() -> Iterator[Provider]:
    with provider(looks=0) as made:
        yield made


def on(program: Program, server: Provider, **settings: Any) -> Program:
    """The program on a model that can be tuned."""
    lm = LM(
        name="fake", model="openai/gpt-4o-mini", api_base=server.url, api_key_env="OPENAI_API_KEY", **settings
    )
    return program.with_lms({"fake": lm})


async def tuned(
    monkeypatch: pytest.MonkeyPatch, folder: Path, student: Program, reply: Any = oracle, **options: Any
) -> Stepped:
    options.setdefault("train", TRAIN)
    training = service.Training(folder, {"fake": ir.TrainSettings(price=3.0)})
    return await step(monkeypatch, "BootstrapFinetune", reply, student=student, training=training, **options)


def chats(server: Provider) -> list[list[list[dict[str, str]]]]:
    """What each training was given, in the order of the uploads."""
    return [
        [json.loads(line)["messages"] for line in data.decode().splitlines()]
        for data in server.files.values()
    ]


def sent(done: Stepped) -> list[list[dict[str, str]]]:
    return [
        [{"role": one.role, "content": one.content} for one in asked.request.messages]
        for asked in done.script.asked
    ]


@pytest.mark.parametrize("adapter", ["chat", "json", "xml"])
async def test_prompts_are_what_a_run_sends_to_the_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider, adapter: str
) -> None:
    """The teacher is the student, so its very requests are what is to be learned, in another order."""

    def reply(asked: Asked) -> str:
        label = next(f"L{n}" for n in range(3) if f" of g{n}" in asked.request.messages[-1].content)
        return {
            "chat": f"[[ ## label ## ]]\n{label}",
            "json": f'{{"label": "{label}"}}',
            "xml": f"<label>{label}</label>",
        }[adapter]

    demo = Demo(inputs={"text": "row 900 of g1"}, outputs={"label": "L1"})
    student = on(classifier(), server, adapter=adapter).with_predictor("ask", demos=(demo,))
    done = await tuned(monkeypatch, tmp_path, student, reply)
    (learned,) = chats(server)
    assert len(learned) == 8
    key = json.dumps
    assert sorted(key(chat[:-1]) for chat in learned) == sorted(key(one) for one in sent(done))
    assert [chat[-1]["role"] for chat in learned] == ["assistant"] * 8
    assert done.program.predictors["ask"].demos == (demo,)
    assert done.program.lms["fake+tuned"].model == "openai/ft:gpt-4o-mini:org:dspec:ftjob-1"
    assert list(done.program.lms) == ["fake+tuned"], "nobody asks the old one any more"
    assert done.spent.training.usd == pytest.approx(8 * 100 * 3.0 / 1e6)


async def test_the_dataset_is_the_same_however_answers_arrive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    student = on(classifier(), server)
    for threads, latency in ((1, None), (16, jitter(1)), (16, jitter(2))):
        await tuned(monkeypatch, tmp_path / "x", student, threads=threads, latency=latency)
    assert server.created == 1, "the same rows are one training"
    await tuned(monkeypatch, tmp_path / "x", student, seed=1)
    assert len(chats(server)) == 2
    assert sorted(map(json.dumps, chats(server)[0])) == sorted(map(json.dumps, chats(server)[1]))


async def test_only_runs_that_the_metric_accepts_teach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        return oracle(asked) if str(group(asked.question["text"])) != "0" else {"label": "no"}

    done = await tuned(monkeypatch, tmp_path, on(classifier(), server), reply)
    (learned,) = chats(server)
    assert len(learned) == 5
    assert not any(" of g0" in chat[1]["content"] for chat in learned)
    assert done.result.notes == ("5 of 8 runs passed, 5 calls to learn from",)


async def test_where_nothing_passes_nothing_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    student = on(classifier(), server)
    done = await tuned(monkeypatch, tmp_path, student, wrong)
    assert (server.created, done.program, done.result.trained) == (0, student, ())
    assert "nothing was trained" in done.result.notes[0]


async def test_demos_can_be_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    shows_a_row = Demo(inputs={"text": TRAIN[0].inputs["text"]}, outputs={"label": "L0"})
    student = on(classifier(), server).with_predictor("ask", demos=(shows_a_row,))
    kept = await tuned(monkeypatch, tmp_path, student)
    lengths = {len(chat) for chat in chats(server)[0]}
    assert lengths == {5, 3}, "the demo that shows the very row is not shown with it"
    assert kept.program.predictors["ask"].demos == (shows_a_row,)
    without = await tuned(monkeypatch, tmp_path, student, exclude_demos=True)
    assert {len(chat) for chat in chats(server)[1]} == {3}
    assert without.program.predictors["ask"].demos == ()


async def test_predictors_are_matched_by_address_and_trained_together_or_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    student = on(pipeline(), server)
    addresses = sorted(student.predictors)
    together = await tuned(monkeypatch, tmp_path, student)
    assert len(chats(server)[0]) == 16
    assert {one.lm for one in together.program.predictors.values()} == {"fake+tuned"}
    apart = await tuned(monkeypatch, tmp_path, student, multitask=False)
    assert [len(one) for one in chats(server)[1:]] == [8, 8]
    assert {place: one.lm for place, one in apart.program.predictors.items()} == {
        place: f"fake+tuned:{place}" for place in addresses
    }
    for place, learned in zip(addresses, chats(server)[1:], strict=True):
        instruction = student.predictors[place].signature.instruction
        assert all(instruction in chat[0]["content"] for chat in learned)


async def test_frozen_predictors_teach_nothing_and_keep_their_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    student = on(pipeline(), server)
    first, second = student.predictors
    done = await tuned(monkeypatch, tmp_path, student, frozen=[first])
    assert len(chats(server)[0]) == 8
    assert done.program.predictors[first].lm == "fake"
    assert done.program.predictors[second].lm == "fake+tuned"
    assert set(done.program.lms) == {"fake", "fake+tuned"}


def knows(server: Provider, *groups: int) -> Program:
    """A teacher on a model of its own, which answers some groups of rows."""
    name = f"knows{''.join(map(str, groups))}"
    program = classifier().with_lms({name: LM(name=name, model=f"openai/{name}", api_base=server.url)})
    asks = program.predictors["ask"].model_copy(update={"lm": name})
    return program.model_copy(update={"predictors": {"ask": asks}})


def by_teacher(asked: Asked) -> dict[str, str]:
    known = asked.request.lm.name.removeprefix("knows")
    return {
        "label": f"L{group(asked.question['text'])}" if str(group(asked.question["text"])) in known else "no"
    }


async def test_several_teachers_teach_what_each_of_them_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    done = await tuned(
        monkeypatch,
        tmp_path,
        on(classifier(), server),
        by_teacher,
        teacher=knows(server, 0),
        teachers=[knows(server, 1)],
    )
    (learned,) = chats(server)
    assert sorted(chat[1]["content"].split(" of g")[1][0] for chat in learned) == ["0"] * 3 + ["1"] * 3
    assert done.spent.calls == done.promised.teacher.least == 16


async def test_an_ensemble_teaches_by_the_member_that_agreed_with_the_vote(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    members = (knows(server, 0, 1), knows(server, 0, 2), knows(server, 0))
    found = Ensemble.model_validate(
        {
            "name": "all",
            "inputs": members[0].inputs,
            "outputs": members[0].outputs,
            "members": members,
            "reduce": Majority(field="label"),
        }
    )
    await tuned(monkeypatch, tmp_path, on(classifier(), server), by_teacher, teacher=found)
    (learned,) = chats(server)
    assert {chat[1]["content"].split(" of g")[1][0] for chat in learned} == {"0"}
    assert len(learned) == 3


async def test_at_the_wall_nothing_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    with pytest.raises(BudgetExceeded):
        await tuned(monkeypatch, tmp_path, on(classifier(), server), budget=ir.Budget(calls=5))
    assert server.asked == []


async def test_prompts_that_cannot_be_learned_are_refused_before_a_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Provider
) -> None:
    with pytest.raises(OptimizerError, match="nothing here can train"):
        await step(monkeypatch, "BootstrapFinetune", oracle, student=on(classifier(), server))
    assert exact().score
    assert server.asked == []
