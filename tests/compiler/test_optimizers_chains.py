"""Chains of optimizers: any takes what any made; what comes out is saved whole and scores the same when loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, gain, loaded_again, plan_of, project
from scripted import classifier, jitter, pipeline
from writing import Model

from dspec.compiler import ir
from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue

SKILLS = (30, 60, 45)


def step(name: str, optimizer: str, **options: JsonValue) -> ir.StepSpec:
    return ir.StepSpec(name=name, optimizer=optimizer, options=options)


BOOTSTRAP = step("demos", "BootstrapFewShot", max_labeled_demos=2)
MIPRO = step("joint", "MIPROv2", max_labeled_demos=2)
COPRO = step("reword", "COPRO", breadth=4, depth=2)
SEARCH = step("search", "BootstrapFewShotWithRandomSearch", num_candidate_programs=3, max_labeled_demos=2)
GEPA = step("reflect", "GEPA", max_metric_calls=150)
TOP = ir.MemberRef(program="joint", candidates=True, top=5)
VOTE = ir.StepSpec(
    name="vote",
    optimizer="Ensemble",
    options={"reduce": {"kind": "majority", "field": "label"}},
    members=(TOP,),
)

CHAINS = {
    "bootstrap, MIPROv2, top-5 ensemble": (BOOTSTRAP, MIPRO, VOTE),
    "MIPROv2 twice": (MIPRO, MIPRO.model_copy(update={"name": "again"})),
    "COPRO, random search": (COPRO, SEARCH),
    "GEPA, bootstrap": (GEPA, BOOTSTRAP),
    "random search, its winner's COPRO, top-5 ensemble of both": (
        SEARCH,
        COPRO,
        VOTE.model_copy(
            update={
                "members": (
                    TOP.model_copy(update={"program": "search"}),
                    TOP.model_copy(update={"program": "reword"}),
                )
            }
        ),
    ),
}


@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
@pytest.mark.parametrize("steps", list(CHAINS.values()), ids=list(CHAINS))
async def test_a_chain_runs_saves_loads_and_scores_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: tuple[ir.StepSpec, ...], program: Program
) -> None:
    made = project(tmp_path, *steps, program=program)
    planned = plan_of(made, "tuned", tmp_path)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, Model(SKILLS), latency=jitter(most=0.001))
    assert built.status == "complete"
    assert planned.least <= built.spent.calls <= planned.most
    assert gain(built) > 0
    await loaded_again(monkeypatch, tmp_path, made, built, Model(SKILLS))


@pytest.mark.parametrize("optimizer", [MIPRO, SEARCH, COPRO], ids=lambda step: step.optimizer)
async def test_a_race_completes_as_many_as_the_ensemble_after_it_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, optimizer: ir.StepSpec
) -> None:
    made = project(
        tmp_path,
        optimizer,
        VOTE.model_copy(update={"members": (TOP.model_copy(update={"program": optimizer.name}),)}),
    )
    built, _, _ = await compiled(monkeypatch, tmp_path, made, Model(SKILLS))
    ensemble = built.artifact.program
    assert isinstance(ensemble, Ensemble)
    assert len(ensemble.members) == 5
    assert built.spent.calls <= plan_of(made, "tuned", tmp_path).most
    alone, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, optimizer), Model(SKILLS))
    assert alone.spent.calls < built.spent.calls
