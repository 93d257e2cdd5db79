"""Any optimizer takes any program: one that has demos, tuned instructions or an index, whole or with a part of
it frozen. What it starts from is a candidate wherever there are any, and a compile never ends below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, plan_of, project
from edges import QUICK, SEARCH, edge, taught, writes
from scripted import Asked, Fields, classifier, learner, pipeline
from stepping import step

from dspec.compiler import ir
from dspec.compiler.evaluate.store import ProgramKey
from dspec.compiler.optimizers.base import OptimizerError
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.frozen import freeze, thaw, tunable
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.schema.program import Demo, Neighbour, Neighbours, Program

PROMPTED = [name for name in SPECS if SPECS[name].sets != {"weights"}]
every = pytest.mark.parametrize("optimizer", PROMPTED)
TUNING = [name for name in PROMPTED if not SPECS[name].gathers]


def tuned(program: Program) -> Program:
    """Another instruction and a demo for every predictor."""
    for address, predictor in program.predictors.items():
        shown = {field.name: "row 900 of g1" for field in predictor.signature.inputs}
        made = {field.name: "L1" for field in predictor.signature.outputs}
        program = program.with_predictor(
            address,
            instruction=f"Tuned: {predictor.signature.instruction}",
            demos=(Demo(inputs=shown, outputs=made, augmented=True), Demo(inputs=shown, outputs=made)),
        )
    return program


def indexed(program: Program) -> Program:
    labels = {
        address: Demo(inputs={"text": "row 901 of g2"}, outputs={"label": "L2"})
        for address in program.predictors
    }
    index = Neighbours(
        k=1,
        max_bootstrapped_demos=0,
        max_labeled_demos=1,
        rows=(Neighbour(text="text: row 901 of g2", labelled=labels),),
    )
    return program.model_copy(update={"neighbours": index})


STATES = {
    "demos": taught(classifier()),
    "tuned": tuned(pipeline()),
    "index": indexed(classifier()),
    "index and demos": indexed(tuned(pipeline())),
}


@every
@pytest.mark.parametrize("state", STATES)
async def test_any_state(monkeypatch: pytest.MonkeyPatch, optimizer: str, state: str) -> None:
    student = STATES[state]
    done = await edge(monkeypatch, optimizer, writes(learner), student=student)
    if SPECS[optimizer].candidates:
        assert any(one.program == student for one in done.result.candidates)


@pytest.mark.parametrize("optimizer", TUNING)
async def test_a_compile_never_ends_below_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, optimizer: str
) -> None:
    """A model that demos and other instructions only confuse: the start is what is written."""

    def confused(asked: Asked) -> Fields:
        text = asked.question["text"]
        plain = len(asked.demos) == 2 and "Tuned" in str(asked.request.messages[0])
        return {"label": f"L{text[-1]}" if plain and "Mind" not in str(asked.request.messages[0]) else "L?"}

    student = tuned(classifier())
    nested = {"p": ir.StepSpec(name="p", optimizer=SEARCH, options=QUICK[SEARCH])}
    only = ir.StepSpec(
        name="only",
        optimizer=optimizer,
        options={**QUICK.get(optimizer, {})},
        nested=nested if SPECS[optimizer].nests else {},
    )
    made = project(tmp_path, only, program=student)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, writes(confused))
    assert built.baseline is not None
    assert built.final is not None
    assert built.final.score == built.baseline.score == 1.0
    assert built.artifact.program == student


# A part frozen ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", ["summarize", "decide"])
@pytest.mark.parametrize("state", ["plain", "tuned", "index"])
@pytest.mark.parametrize("optimizer", TUNING)
async def test_frozen_predictors_stay_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, state: str, frozen: str
) -> None:
    student = {"plain": pipeline(), "tuned": tuned(pipeline()), "index": indexed(pipeline())}[state]
    if optimizer == "KNNFewShot" and state == "index":
        with pytest.raises(OptimizerError, match=f"`{frozen}` is frozen"):
            await edge(monkeypatch, optimizer, writes(learner), student=student, frozen=[frozen])
        return
    done = await edge(monkeypatch, optimizer, writes(learner), student=student, frozen=[frozen])
    assert isinstance(done.result.program, Program)
    if done.result.program.neighbours is not None and student.neighbours is None:
        rows = done.result.program.neighbours.rows
        assert not any(frozen in row.bootstrapped or frozen in row.labelled for row in rows)
    # What is written, if anything is, is written for the other one.
    for asked in done.script.asked:
        if not {"label", "gist"} & set(asked.wanted):
            assert f"`{frozen}`" not in asked.question.get("module", "").splitlines()[0:1]


@pytest.mark.parametrize("optimizer", list(FAITHFUL))
async def test_frozen_on_dspys_schedule(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    if SPECS[optimizer].gathers or SPECS[optimizer].nests:
        return
    options = {**QUICK.get(optimizer, {}), **({"minibatch": False} if optimizer == "MIPROv2" else {})}
    student = tuned(pipeline())
    done = await step(
        monkeypatch,
        optimizer,
        writes(learner),
        student=student,
        frozen=["summarize"],
        compat="dspy",
        **options,
    )
    made = [done.program, *(one.program for one in done.result.candidates)]
    assert all(one.predictors["summarize"] == student.predictors["summarize"] for one in made)
    assert done.spent.calls <= done.promised.most


@pytest.mark.parametrize("optimizer", ["COPRO", "MIPROv2", "InferRules"])
async def test_nothing_is_spent_on_what_is_frozen(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Half of the proposals, and what is tried is as much as of a program with one predictor."""
    whole = await step(monkeypatch, optimizer, writes(learner), student=pipeline(), **QUICK[optimizer])
    half = await step(
        monkeypatch, optimizer, writes(learner), student=pipeline(), frozen=["decide"], **QUICK[optimizer]
    )
    fixed = 3 if optimizer == "MIPROv2" else 0  # the summary of the data
    assert half.spent.prompt.calls - fixed == (whole.spent.prompt.calls - fixed) / 2
    assert half.promised.prompt.most < whole.promised.prompt.most


async def test_a_block_with_a_frozen_predictor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The artifact is a plain program and says what was frozen; the plan counts one predictor."""
    texts: set[str] = set()
    for frozen in ((), ("summarize",)):
        tune = ir.StepSpec(name="tune", optimizer="MIPROv2", options=QUICK["MIPROv2"], frozen=frozen)
        made = project(tmp_path, tune, program=pipeline())
        built, _, tally = await compiled(monkeypatch, tmp_path, made, writes(learner))
        planned = plan_of(made, "tuned", tmp_path)
        assert tally.calls <= planned.most
        assert type(built.artifact.program) is Program
        assert built.artifact.provenance.steps[0].options.get("freeze") == (list(frozen) or None)
        texts.add(built.artifact.provenance.options)
    assert len(texts) == 2


def test_freezing_changes_no_hash_and_goes_away() -> None:
    program = tuned(pipeline())
    held = freeze(program, ["decide"])
    assert list(tunable(held)) == ["summarize"]
    assert list(tunable(program)) == ["summarize", "decide"]
    assert held.with_predictor("decide", instruction="Other.", demos=()) == held
    assert held.with_predictor("summarize", demos=()) != held
    assert ProgramKey(held).run("x", sample=0, temperature=None) == ProgramKey(program).run(
        "x", sample=0, temperature=None
    )
    assert thaw(held) == program
    assert held.model_dump_json() == program.model_dump_json()
