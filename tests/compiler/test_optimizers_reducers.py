"""Ensembles that a program reduces, in a compile: planned, counted, kept, saved and loaded like everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import SEARCH, compiled, plan_of, project
from scripted import FAKE, Asked, Fields, Script, classifier, exact, jitter, learner, oracle, rows, scripted
from stepping import step

from dspec.compiler import ir
from dspec.compiler.evaluate.digests import program_digest
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers.base import OptimizerError, Options
from dspec.compiler.optimizers.ensemble import gather
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import artifact_text, read_artifact, write_artifact
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import ByProgram, Ensemble
from dspec.runtime.schema.expressions import Variable
from dspec.runtime.schema.program import CallStep, FieldSpec, Program
from dspec.runtime.schema.types import INT, STR, ListOf, Type

VOTE = ir.StepSpec(
    name="vote",
    optimizer="Ensemble",
    members=(ir.MemberRef(program="search", candidates=True, top=3),),
    options={"reduce": {"module": "pick"}},
)


def judge(kind: Type = STR) -> Program:
    """text, labels → label: it says what the script makes of the labels it is shown."""
    asks = classifier("pick")
    more = FieldSpec(name="labels", type=ListOf(item=kind))
    predictor = asks.predictors["ask"]
    signature = predictor.signature.model_copy(
        update={"inputs": (*predictor.signature.inputs, more), "instruction": "Pick the right label."}
    )
    call = CallStep(
        name="out",
        predictor="pick",
        arguments={"text": Variable(name="text"), "labels": Variable(name="labels")},
    )
    return asks.model_copy(
        update={
            "inputs": (*asks.inputs, more),
            "steps": (call,),
            "predictors": {"pick": predictor.model_copy(update={"signature": signature})},
        }
    )


def picks(asked: Asked) -> Fields:
    """As a judge, it knows the answer if it was among the labels."""
    shown = asked.question.get("labels")
    if shown is None:
        return learner(asked)
    right = f"L{asked.question['text'].rsplit('g', 1)[-1]}"
    return {"label": right if right in shown else "L?"}


def made(folder: Path, *steps: ir.StepSpec) -> ir.Project:
    found = project(folder, *(steps or (SEARCH, VOTE)))
    return found.model_copy(update={"programs": {**found.programs, "pick": judge()}})


async def test_planned_counted_kept_and_the_same_after_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = made(tmp_path)
    texts: set[str] = set()
    with Ledger(tmp_path / "l.sqlite") as ledger:
        built, script, _ = await compiled(monkeypatch, tmp_path, found, picks, ledger=ledger)
        again, silent, _ = await compiled(monkeypatch, tmp_path, found, picks, ledger=ledger)
    assert silent.calls == 0
    texts |= {artifact_text(built.artifact), artifact_text(again.artifact)}
    for threads in (1, 32):
        other, _, _ = await compiled(
            monkeypatch, tmp_path, found, picks, threads=threads, latency=jitter(threads)
        )
        texts.add(artifact_text(other.artifact))
    assert len(texts) == 1
    vote = built.steps[1].result.program
    assert isinstance(vote, Ensemble)
    assert vote.reducer == judge()
    planned = plan_of(found, "tuned", tmp_path)
    # One call for each row of val, besides what its members took before; all of them are in the plan.
    assert sum("labels" in asked.question for asked in script.asked) == 20
    assert planned.least <= built.spent.calls <= planned.most
    assert planned.final.most == 20 * 4
    assert built.spent.calls == script.calls
    assert built.final is not None
    path = tmp_path / "v.dspc.json"
    write_artifact(path, built.artifact)
    loaded = read_artifact(path)
    assert loaded == built.artifact
    with scripted(monkeypatch, Script(picks)) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        val = rows(12, start=100)
        assert await evaluator.evaluate(loaded.program, val) == await evaluator.evaluate(
            built.artifact.program, val
        )


async def test_it_can_beat_every_member(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def specialist(group: int) -> Program:
        return classifier().with_predictor("ask", instruction=f"Only group {group}.")

    def knows_one(asked: Asked) -> Fields:
        if "labels" in asked.question:
            return picks(asked)
        right = oracle(asked)["label"]
        return {"label": right if f"group {right[1:]}" in str(asked.request.messages[0]) else "L?"}

    done = await step(
        monkeypatch,
        "Ensemble",
        knows_one,
        members=(specialist(0), specialist(1), specialist(2)),
        reducer=judge(),
    )
    script = Script(knows_one)
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        found = await evaluator.evaluate(done.result.program, rows(9))
        assert found.score == 1.0
        assert evaluator.spent.task.calls == script.calls == 9 * 4
        # As a teacher it teaches by a member that said the same.
        attempt = await evaluator.attempt(done.result.program, rows(9)[1])
        assert attempt.trace[0].outputs == {"label": "L1"}


async def test_an_ensemble_teaches_only_what_a_member_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def invents(asked: Asked) -> Fields:
        return oracle(asked) if "labels" in asked.question else {"label": "L?"}

    members = tuple(classifier().with_predictor("ask", instruction=f"Way {n}.") for n in (1, 2))
    teacher = await step(monkeypatch, "Ensemble", invents, members=members, reducer=judge())
    done = await step(
        monkeypatch, "BootstrapFewShot", invents, teacher=teacher.result.program, max_labeled_demos=0
    )
    assert done.demos() == []
    assert done.spent.calls <= done.promised.most


async def test_a_program_that_asks_no_model_reduces_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = judge().model_copy(
        update={"steps": (), "predictors": {}, "lms": {}, "returns": {"label": Variable(name="text")}}
    )
    done = await step(monkeypatch, "Ensemble", oracle, members=(classifier(), classifier()), reducer=first)
    with scripted(monkeypatch, Script(oracle)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(done.result.program, rows(2))
    assert [row.outputs for row in found.rows] == [{"label": row.inputs["text"]} for row in rows(2)]
    assert calls_per_run(done.result.program) == 2


async def test_one_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (classifier(), classifier())
    with pytest.raises(OptimizerError, match="nothing is given for `labels`"):
        await step(monkeypatch, "Ensemble", oracle, members=both, reducer=judge(INT))
    silent = judge().model_copy(update={"outputs": (FieldSpec(name="other", type=STR),)})
    with pytest.raises(OptimizerError, match="it lacks the output `label`"):
        await step(monkeypatch, "Ensemble", oracle, members=both, reducer=silent)


def test_the_reducer_is_part_of_what_an_ensemble_is() -> None:
    spec = SPECS["Ensemble"]
    other = judge().with_predictor("pick", instruction="Pick another one.")
    found = [
        gather(classifier(), (classifier(), classifier()), Options(spec, {}), reducer=one)
        for one in (judge(), other, None)
    ]
    assert len({program_digest(one) for one in found}) == 3
    assert isinstance(found[0].reduce, ByProgram)
    assert found[0].lms == {"fake": FAKE}
