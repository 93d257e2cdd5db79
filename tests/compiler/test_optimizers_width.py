"""Every optimizer gives the same bytes at any width, whatever the order in which answers arrive."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, project
from every_step import CASES, GEPA, Case, improves, step, uneven, writes_by_question
from scripted import Asked, classifier, jitter, learner, pipeline

from dspec.compiler import ir
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.schema.program import Program

SEARCH = step("BootstrapFewShotWithRandomSearch", num_candidate_programs=3).model_copy(
    update={"name": "first"}
)
WIDE = {
    **CASES,
    "GEPA": GEPA,
    # Demos are drawn and dropped besides.
    "SIMBA, demos": Case(step("SIMBA", max_steps=2, num_candidates=3, bsize=10)),
}


def mixed(asked: Asked) -> dict[str, object]:
    """Demos help, instructions help, and runs at a temperature differ: something to choose at every turn."""
    known = learner(asked)
    if known.get("label") != "L?":
        return dict(known)
    return {**(uneven if asked.request.temperature else improves)(asked)}


async def texts(
    monkeypatch: pytest.MonkeyPatch, folder: Path, made: ir.Project
) -> tuple[set[str], set[tuple[tuple[str, float], ...]]]:
    """Of three compiles: the artifacts, and what the last step's candidates scored."""
    artifacts: set[str] = set()
    scores: set[tuple[tuple[str, float], ...]] = set()
    for threads in (1, 4, 64):
        built, script, _ = await compiled(
            monkeypatch,
            folder,
            made,
            writes_by_question(mixed),
            threads=threads,
            latency=jitter(threads, 0.002),
        )
        assert built.status == "complete"
        assert script.most_in_flight <= threads
        artifacts.add(artifact_text(built.artifact))
        scores.add(tuple((one.label, one.score) for one in built.steps[-1].result.candidates))
    return artifacts, scores


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WIDE))
@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
async def test_the_same_bytes_at_any_width(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, program: Program
) -> None:
    artifacts, scores = await texts(
        monkeypatch, tmp_path, project(tmp_path, WIDE[name].step, program=program)
    )
    assert len(artifacts) == len(scores) == 1


async def test_an_ensemble_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vote = ir.StepSpec(
        name="vote",
        optimizer="Ensemble",
        options={"size": 2},
        members=(ir.MemberRef(program="first", candidates=True, top=3),),
    )
    artifacts, _ = await texts(monkeypatch, tmp_path, project(tmp_path, SEARCH, vote))
    assert len(artifacts) == 1


ELSEWHERE = ("Prune", "BootstrapFinetune", "GRPO")
"""Optimizers whose width has a test beside their other tests."""


def test_no_optimizer_is_left_out() -> None:
    steps = [case.step for case in WIDE.values()]
    assert {one.optimizer for one in steps if one.compat is None} == SPECS.keys() - {"Ensemble", *ELSEWHERE}
    assert {one.optimizer for one in steps if one.compat} == set(FAITHFUL) - {"Ensemble"}
