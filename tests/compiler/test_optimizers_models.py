"""Models as a dimension of search: `lms` of an optimize block."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from building import compiled, plan_of, project
from dspc import Result, dspc
from scripted import FAKE, Asked, Fields, classifier, group, jitter, learner, pipeline, rows
from server import Call, FakeServer
from stepping import step

from dspec.compiler import ir
from dspec.compiler.evaluate.digests import asked_digest, program_digest
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers.choosing import ModelChoice
from dspec.compiler.optimizers.prompt_room import PromptRoom
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.program import LM, Program

SMALL = FAKE.model_copy(update={"max_tokens": 40, "price_input": 1.0, "price_output": 1.0})
LARGE = LM(name="large", model="embedded/scripted", max_tokens=50, price_input=20.0, price_output=20.0)
LMS = {"fake": SMALL, "large": LARGE}

SEARCHES: list[tuple[str, dict[str, Any]]] = [
    ("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 4}),
    ("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 2, "search": "full"}),
    ("BootstrapFewShotWithOptuna", {"num_candidate_programs": 3}),
    ("BootstrapFewShotWithOptuna", {"num_candidate_programs": 40, "max_bootstrapped_demos": 2}),
    ("MIPROv2", {"auto": None, "num_candidates": 2, "num_trials": 4, "minibatch_size": 8}),
    (
        "MIPROv2",
        {"auto": None, "num_candidates": 2, "num_trials": 4, "minibatch_size": 8, "search": "minibatch"},
    ),
]


def on(program: Program, *lms: LM) -> Program:
    return program.model_copy(update={"lms": {lm.name: lm for lm in lms}})


def is_large(asked: Asked) -> bool:
    return asked.request.lm.name == LARGE.name


def better_when_large(asked: Asked) -> Fields:
    """The large model is always right, the small one where it is shown how. Whoever writes, writes nothing new."""
    if "text" not in asked.question:
        return dict.fromkeys(asked.wanted, "Give the label, please.")
    return {"label": f"L{group(asked.question['text'])}"} if is_large(asked) else learner(asked)


def hard_at_the_end(asked: Asked) -> Fields:
    """The first step is easy for both; of the second one only the large model is right."""
    if "gist" in asked.wanted:
        return {"gist": asked.question["text"]}
    return {"label": f"L{group(asked.question['gist'])}" if is_large(asked) else "L?"}


@pytest.mark.parametrize(("optimizer", "options"), SEARCHES)
async def test_a_search_takes_the_model_that_scores_more_within_its_bounds(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, options: dict[str, Any]
) -> None:
    found = await step(
        monkeypatch,
        optimizer,
        better_when_large,
        student=on(classifier(), SMALL),
        train=rows(12),
        val=rows(16, start=40),
        models=ModelChoice(("fake", "large"), ("ask",), LMS),
        **options,
    )
    assert found.program.predictors["ask"].lm == "large"
    assert found.program.lms == {"large": LARGE}
    # There is a good program on each model, whichever is wanted later.
    assert {one.program.predictors["ask"].lm for one in found.result.candidates} == {"fake", "large"}
    assert any(" on large" in label for label in found.labels)
    spent = found.spent
    assert found.promised.task.least <= spent.task.calls <= found.promised.task.most
    assert spent.teacher.calls <= found.promised.teacher.most


def test_without_models_nothing_is_open() -> None:
    program, none = on(classifier(), SMALL), ModelChoice()
    assert none.ways == 1
    assert none.options(program) == {}
    assert none.moved(program, {}, PromptRoom()) is program
    assert none.others(program) == []
    assert none.around(program, PromptRoom()) == []
    assert none.said(program, program) == ""


def test_a_program_has_the_models_that_it_may_ask_and_no_others() -> None:
    """Whoever moves its predictors: a search, a teacher's model, tuned weights, a block's `lm`."""
    spare = LARGE.model_copy(update={"name": "spare"})
    large = LARGE.model_copy(update={"fallback": ("spare",)})
    program = on(pipeline(), SMALL)
    first, second = program.predictors
    known = {"fake": SMALL, "large": large, "spare": spare, "other": LARGE}
    moved = program.asking({first: "large"}, known)
    assert {address: one.lm for address, one in moved.predictors.items()} == {first: "large", second: "fake"}
    assert moved.lms == {"fake": SMALL, "large": large, "spare": spare}
    assert moved.asking({first: "fake"}, known) == program


def test_a_result_that_moves_to_a_model_keeps_what_its_own_models_fall_back_to(tmp_path: Path) -> None:
    """A result of elsewhere has models that the source does not declare."""
    theirs = LARGE.model_copy(update={"name": "theirs", "fallback": ("spare",)})
    spare = LARGE.model_copy(update={"name": "spare"})
    program = pipeline()
    first, second = program.predictors
    made = on(program, SMALL, theirs, spare).asking(
        {second: "theirs"}, {**LMS, "theirs": theirs, "spare": spare}
    )
    found = project(tmp_path, program=program, lms=(SMALL, LARGE))
    found = found.model_copy(update={"made": {"tuned": made}, "unbound": {program.name: (first,)}})
    moved = found.on_lm("tuned", "large")
    assert isinstance(moved, Program)
    assert set(moved.lms) == {"large", "theirs", "spare"}


def test_programs_on_other_models_are_other_programs() -> None:
    program = on(pipeline(), SMALL)
    addresses = tuple(program.predictors)
    models = ModelChoice(("fake", "large"), addresses, LMS)
    around = models.around(program, PromptRoom())
    assert models.ways == 2 ** len(addresses)
    assert len(around) == min(4, models.ways - 1)
    assert len({asked_digest(one) for one in (program, *around)}) == 1 + len(around)
    assert {program_digest(one) for one in around} == {program_digest(program)}
    first, *others = around
    assert {one.lm for one in first.predictors.values()} == {"large"}
    assert set(first.lms) == {"large"}
    assert all(set(one.lms) == {"fake", "large"} for one in others)
    assert models.said(first, program) == " on large"
    assert models.said(others[0], program) == f" on {addresses[0]} large, {addresses[1]} fake"


def asking(folder: Path, *steps: ir.StepSpec, program: Program, **block: Any) -> ir.Project:
    """A project whose block has two models for every predictor."""
    made = project(folder, *steps, program=on(program, SMALL), lm="fake", **block)
    tuned = made.optimizes["tuned"].model_copy(update={"lms": ("fake", "large")})
    return made.model_copy(
        update={
            "lms": LMS,
            "unbound": {program.name: tuple(program.predictors)},
            "optimizes": {"tuned": tuned},
        }
    )


SEARCH = ir.StepSpec(
    name="search",
    optimizer="BootstrapFewShotWithRandomSearch",
    options={"num_candidate_programs": 3, "max_labeled_demos": 4},
)
MIPRO = ir.StepSpec(
    name="joint",
    optimizer="MIPROv2",
    options={"auto": None, "num_candidates": 2, "num_trials": 4, "minibatch_size": 8},
)


async def test_each_predictor_gets_the_cheapest_model_that_is_good_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = asking(tmp_path, SEARCH, program=pipeline(), minimize="usd", gate=0.5)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, hard_at_the_end)
    program = built.artifact.program
    assert isinstance(program, Program)
    easy, hard = program.predictors
    assert (program.predictors[easy].lm, program.predictors[hard].lm) == ("fake", "large")
    assert program.lms == LMS
    assert built.chosen is not None
    assert built.chosen.offer is not None
    assert built.chosen.offer.score == 1.0
    # Of the front, whatever is as good on the large model alone is dearer.
    assert all(one.takes.usd is not None for one in built.offers)
    models = built.artifact.provenance.models
    assert {name: models[name] for name in LMS} == {name: lm.model for name, lm in LMS.items()}
    assert built.spent.calls <= built.plan.most
    assert any("the steps choose between `fake` and `large`" in note for note in built.plan.notes)
    assert built.plan.maximum.usd is not None
    assert built.spent.total.known_usd <= built.plan.maximum.usd


@pytest.mark.parametrize("steps", [(SEARCH,), (SEARCH, MIPRO)])
async def test_the_same_bytes_at_any_width_and_nothing_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: tuple[ir.StepSpec, ...]
) -> None:
    made = asking(tmp_path, *steps, program=pipeline(), part=12)
    plan = plan_of(made, "tuned", tmp_path)
    texts: list[str] = []
    for threads in (1, 64):
        with Ledger(tmp_path / f"{threads}.sqlite") as ledger:
            built, script, _ = await compiled(
                monkeypatch,
                tmp_path,
                made,
                better_when_large_for_two,
                threads=threads,
                latency=jitter(threads, 0.001),
                ledger=ledger,
            )
            again, silent, _ = await compiled(
                monkeypatch, tmp_path, made, better_when_large_for_two, threads=threads, ledger=ledger
            )
        assert script.calls
        assert not silent.calls
        assert built.spent.calls <= plan.most
        texts += [artifact_text(one.artifact) for one in (built, again)]
    assert len(set(texts)) == 1


def better_when_large_for_two(asked: Asked) -> Fields:
    if "gist" in asked.wanted or "label" in asked.wanted:
        return hard_at_the_end(asked)
    return dict.fromkeys(asked.wanted, "Do it, please.")


async def test_a_compile_without_models_to_choose_is_what_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, SEARCH)
    plain = made.optimizes["tuned"].model_dump(mode="json")
    assert "lms" not in plain
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner, store=Store())
    assert all(" on " not in one.label for one in built.offers)


FILE = """dspec 1

lm small { model = "openai/small"; api_base = "URL"; max_tokens = 50; price { input = 0.1; output = 0.1 } }
lm large { model = "openai/large"; api_base = "URL"; max_tokens = 50; price { input = 2.0; output = 2.0 } }

type Label = "a" | "b"

module sorter = Predict(sig(text -> label: Label))

dataset notes {
  source = csv("rows.csv")
  input text: str
  field label: Label
  split { train = 20; val = 30; seed = 1 }
}

metric right(gold: notes, pred: sorter) = gold.label == pred.label

optimize sorted {
  program = sorter
  metric = right
  train = notes.train
  val = notes.val
  lms = [large, small]
  minimize = "usd"
  gate score >= 0.1
  step search = BootstrapFewShotWithRandomSearch(num_candidate_programs = 2)
}
"""


async def test_commands_tell_which_model_was_chosen(tmp_path: Path) -> None:
    lines = [f"{'lamp' if place % 2 else 'rain'} {place},{'ab'[place % 2]}" for place in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]) + "\n")

    def answer(call: Call) -> str:
        return f"[[ ## label ## ]]\n{'b' if 'lamp' in call.prompt else 'a'}\n\n[[ ## completed ## ]]"

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(dspc, *arguments, cwd=tmp_path)

    async with FakeServer(answer) as server:
        (tmp_path / "sort.dspec").write_text(FILE.replace("URL", server.url))
        done = await run("compile", "sort.dspec", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["compiled"][0]
    assert "of `large` and `small`: `sorter` asks `small`" in told["notes"]
    path = tmp_path / "compiled" / "sorted.dspc.json"
    plain = json.loads(path.read_bytes())
    assert plain["program"]["predictors"]["sorter"]["lm"] == "small"
    assert [*plain["program"]["lms"]] == ["small"]
    assert [*plain["provenance"]["models"]] == ["large", "small"]
    assert "sorter  Predict on openai/small" in (await run("show", str(path))).out
    # It is what compiling would give now: the choice is no change of the file.
    verified = await run("verify", str(path), "--source", "sort.dspec")
    assert verified.code == 0, verified.text


async def test_what_is_frozen_or_names_its_model_stays_on_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    easy, hard = pipeline().predictors
    frozen = SEARCH.model_copy(update={"frozen": (hard,)})
    made = asking(tmp_path, frozen, program=pipeline(), part=10)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, hard_at_the_end)
    assert {one.request.lm.name for one in script.asked if "label" in one.wanted} == {"fake"}
    assert {one.request.lm.name for one in script.asked if "gist" in one.wanted} == {"fake", "large"}
    assert built.artifact.program.predictors[hard].lm == "fake"
    bound = asking(tmp_path, SEARCH, program=pipeline(), part=10)
    bound = bound.model_copy(update={"unbound": {pipeline().name: (hard,)}})
    built, script, _ = await compiled(monkeypatch, tmp_path, bound, hard_at_the_end)
    assert {one.request.lm.name for one in script.asked if "gist" in one.wanted} == {"fake"}
    assert (built.artifact.program.predictors[easy].lm, built.artifact.program.predictors[hard].lm) == (
        "fake",
        "large",
    )


async def test_a_search_inside_another_step_chooses_within_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = ir.StepSpec(
        name="both", optimizer="BetterTogether", options={"strategy": "p"}, nested={"p": SEARCH}
    )
    made = asking(tmp_path, both, program=classifier(), part=12)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, better_when_large)
    assert built.artifact.program.predictors["ask"].lm == "large"
    assert built.plan.least <= built.spent.calls <= built.plan.most
    # A later step that chooses nothing keeps what was chosen, and the plan knows of it.
    shown = ir.StepSpec(name="shown", optimizer="LabeledFewShot", options={"k": 2})
    chained = asking(tmp_path, SEARCH, shown, program=classifier(), part=12)
    built, _, _ = await compiled(monkeypatch, tmp_path, chained, better_when_large)
    assert built.plan.least <= built.spent.calls <= built.plan.most
    assert built.plan.maximum.usd is not None
    assert (built.spent.total.known_usd or 0.0) <= built.plan.maximum.usd
