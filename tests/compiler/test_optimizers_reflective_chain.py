"""GEPA, SIMBA and InferRules within a whole compile: in chains, saved and loaded, within the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from building import compiled, prepared, project
from scripted import Asked, Script, group, jitter, oracle, scripted, wrong

from dspec.compiler import ir
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.runtime.artifact.artifact import artifact_text, parse_artifact
from dspec.runtime.schema.program import LM, Program

GEPA = ir.StepSpec(name="evolved", optimizer="GEPA", options={"max_metric_calls": 150})
SIMBA = ir.StepSpec(
    name="climbed", optimizer="SIMBA", options={"max_steps": 2, "num_candidates": 2, "bsize": 10}
)
RULES = ir.StepSpec(
    name="ruled", optimizer="InferRules", options={"num_candidates": 2, "max_labeled_demos": 2}
)
DEMOS = ir.StepSpec(name="demos", optimizer="BootstrapFewShot", options={"max_labeled_demos": 2})
CHAINS = [(GEPA,), (SIMBA,), (RULES,), (GEPA, DEMOS), (DEMOS, GEPA, SIMBA, RULES), (GEPA, GEPA)]


def reply(asked: Asked) -> Mapping[str, object]:
    """Right on the groups that the instruction names; each text it writes names one or two of them."""
    writes = [name for name in asked.wanted if name.endswith(("instruction", "guidelines"))]
    if writes:
        told = re.findall(r"Know g\d", asked.question.get("current_instruction", ""))
        known = [*told, f"Know g{asked.request.sample % 5}"]
        return dict.fromkeys(writes, " ".join(dict.fromkeys(known)))
    text = asked.question["text"]
    lucky = (int(text.split()[1]) + asked.request.sample) % 7 == 0
    told = asked.request.messages[0].content
    return oracle(asked) if f"Know g{group(text)}" in told or lucky else wrong(asked)


@pytest.mark.parametrize("steps", CHAINS, ids=lambda steps: "-".join(step.optimizer for step in steps))
@pytest.mark.parametrize("given", [True, False], ids=["val", "no val"])
async def test_a_chain_stays_within_its_plan_and_scores_the_same_after_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: tuple[ir.StepSpec, ...], given: bool
) -> None:
    made = project(tmp_path, *steps, **({} if given else {"val": None}))
    built, script, tally = await compiled(monkeypatch, tmp_path, made, reply, latency=jitter())
    assert built.status == "complete"
    assert built.plan.least <= script.calls == tally.calls <= built.plan.most
    for outcome in built.steps:
        assert outcome.spent.task.calls <= outcome.planned.task.most
        assert outcome.spent.teacher.calls <= outcome.planned.teacher.most
        assert outcome.spent.prompt.calls <= outcome.planned.prompt.most
    assert built.baseline is not None
    assert built.final is not None
    assert built.final.score >= built.baseline.score
    loaded = parse_artifact(artifact_text(built.artifact).encode())
    assert loaded == built.artifact
    assert isinstance(loaded.program, Program)
    rows = prepared(made, tmp_path).resolved("tuned").val
    with scripted(monkeypatch, Script(reply)) as engine:
        evaluator = Evaluator(engine, Store(), made.metrics["right"])
        assert (await evaluator.evaluate(loaded.program, rows)).scores == built.final.scores


async def test_the_same_bytes_whatever_the_width(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts: set[str] = set()
    for threads in (1, 64):
        made = project(tmp_path, DEMOS, GEPA, SIMBA, RULES, seed=0)
        built, _, _ = await compiled(
            monkeypatch, tmp_path, made, reply, threads=threads, latency=jitter(threads)
        )
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1


async def test_the_block_s_prompt_model_writes_at_its_own_temperature(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for temperature, expected in ((0.3, 0.3), (None, 1.0)):
        writer = LM(name="writer", model="embedded/scripted-writer", temperature=temperature)
        advice = SIMBA.model_copy(update={"options": {**SIMBA.options, "max_demos": 0}})
        made = project(tmp_path, advice, GEPA, lms=(writer,), prompt_lm="writer")
        _, script, _ = await compiled(monkeypatch, tmp_path, made, reply)
        writing = [asked for asked in script.asked if asked.request.lm.name == "writer"]
        assert {asked.request.temperature for asked in writing} == {expected}
        assert {asked.wanted[0] for asked in writing} == {"instruction", "guidelines"}


@pytest.mark.parametrize("steps", [(GEPA,), (SIMBA,), (RULES,)], ids=lambda steps: steps[0].optimizer)
async def test_the_wall_keeps_the_best_that_was_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: tuple[ir.StepSpec, ...]
) -> None:
    made = project(tmp_path, *steps, budget=ir.Budget(calls=40))
    built, script, _ = await compiled(monkeypatch, tmp_path, made, reply)
    assert built.status == "budget"
    assert script.calls <= 40
    assert isinstance(built.artifact.program, Program)
