"""Judges in a compile: planned, counted, remembered, and part of what makes two metrics the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, compiled, plan_of, prepared, project
from every_step import CASES, GEPA, improves, writes
from judging import HEAD, POLITE, SEMANTIC, agrees, judged_by, judgings, metric
from scripted import Asked, Script, classifier, exact, jitter, learner, oracle, pipeline, scripted, wrong

from dspec.compiler import ir
from dspec.compiler.compile.changes import changes, free, recall, remember, snapshot
from dspec.compiler.data import Example
from dspec.compiler.evaluate.digests import metric_digest
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.runtime.models.ledger import Ledger


def with_judge(folder: Path, *steps: ir.StepSpec, body: str = SEMANTIC, **more: object) -> ir.Project:
    made = project(folder, *steps, **more)
    return made.model_copy(update={"metrics": {"right": metric(body)}})


async def test_a_compile_counts_its_judges_and_needs_none_the_second_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, reply = with_judge(tmp_path), judged_by(agrees, learner)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, Store(tmp_path / "runs.sqlite") as store:
        built, script, tally = await compiled(
            monkeypatch, tmp_path, made, reply, latency=jitter(), ledger=ledger, store=store
        )
        assert built.final is not None
        assert built.baseline is not None
        assert built.final.score > built.baseline.score
        assert tally.calls == script.calls
        assert built.spent.judge.calls == len(judgings(script)) > 0
        assert sum(step.spent.judge.calls for step in built.steps) > 0
        provenance = built.artifact.provenance
        assert provenance.calls == built.spent.calls <= built.plan.most
        assert provenance.models == {"fake": "embedded/scripted", "judge": "embedded/strict"}
        for kept in (store, Store()):
            again, silent, _ = await compiled(monkeypatch, tmp_path, made, reply, ledger=ledger, store=kept)
            assert silent.calls == 0
            assert again.artifact == built.artifact
            assert again.spent == built.spent
    # Which is the same compile as one whose metric compares for itself.
    plain, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path), learner)
    assert plain.artifact.program == built.artifact.program


@pytest.mark.parametrize("calls", [0, 7, 60, 100])
async def test_a_compile_stops_at_the_wall_and_goes_on_behind_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: int
) -> None:
    reply = judged_by(agrees, learner)
    walled = with_judge(
        tmp_path, budget=ir.Budget(calls=calls), body="= semantic_f1(gold.text, pred.label, strict)"
    )
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        built, script, _ = await compiled(monkeypatch, tmp_path, walled, reply, ledger=ledger)
        assert built.status == "budget"
        assert script.calls <= calls
        free_of_it = walled.model_copy(
            update={
                "optimizes": {"tuned": walled.optimizes["tuned"].model_copy(update={"budget": ir.Budget()})}
            }
        )
        whole, rest, _ = await compiled(monkeypatch, tmp_path, free_of_it, reply, ledger=ledger)
        assert whole.status == "complete"
    fresh, all_of_it, _ = await compiled(monkeypatch, tmp_path, free_of_it, reply)
    assert script.calls + rest.calls == all_of_it.calls
    assert fresh.artifact == whole.artifact


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "GEPA"])
async def test_the_plan_bounds_the_judges_of_every_optimizer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """The program never gives the same outputs twice, so that every run that is scored is judged."""
    case, program, told = CASES.get(name, GEPA), pipeline(), 0

    def varies(asked: Asked) -> Mapping[str, object] | str | Exception:
        nonlocal told
        given = improves(asked)
        told += 1
        return {**given, "label": f"{given['label']} #{told}"} if "label" in asked.wanted else given

    def judge(asked: Asked) -> Mapping[str, object]:
        right = asked.question["response"].split()[0] == asked.question["reference"]
        return {"reasoning": "so", "recall": 1.0, "precision": 1.0 if right else 0.0}

    body = "{ score = semantic_f1(gold.label, pred.label, judge = strict); accept = score > 0.5; feedback = reason }"
    made = with_judge(tmp_path, case.step, program=program, body=body)
    planned = plan_of(made, "tuned", tmp_path)
    reply = judged_by(judge, writes(varies))
    built, script, _ = await compiled(monkeypatch, tmp_path, made, reply, latency=jitter(most=0.001))
    assert built.status == "complete"
    (outcome,), (promised,) = built.steps, planned.steps
    spent = outcome.spent
    assert 2 * spent.judge.calls == spent.task.calls + spent.teacher.calls
    assert spent.judge.calls <= promised.judge.most
    assert spent.calls <= promised.calls.most
    assert len(judgings(script)) == built.spent.judge.calls
    assert planned.least <= built.spent.calls <= planned.most


def test_the_plan_prices_a_judge_by_its_own_prompt_and_model(tmp_path: Path) -> None:
    def cost(price: str, body: str = SEMANTIC) -> tuple[float, float]:
        head = HEAD.replace(
            'strict { model = "embedded/strict"', f'strict {{ model = "hosted_vllm/m"; {price}'
        )
        made = project(tmp_path, DEMOS)
        made = made.model_copy(update={"metrics": {"right": metric(body, head)}})
        found = plan_of(made, "tuned", tmp_path)
        guess = found.guess["judge"]
        assert guess.input_usd is not None
        assert guess.output_usd is not None
        return guess.input_usd + guess.output_usd, found.most

    free_of_cost, calls = cost("price { input = 0.0; output = 0.0 }")
    assert free_of_cost == 0.0
    # Baseline and final on 20 rows each, and 20 attempts of the teacher: each once more, for its judge.
    assert calls == 2 * (20 + 20 + 20)
    once, _ = cost("price { input = 1.0; output = 2.0 }")
    assert 30 * 100 < once * 1e6 < 60 * 1500
    assert cost("price { input = 2.0; output = 4.0 }")[0] == pytest.approx(2 * once)
    both = "= complete_and_grounded(gold.label, pred.label, gold.text, judge = strict)"
    twice, more = cost("price { input = 1.0; output = 2.0 }", both)
    assert more == 3 * 60
    assert 1.5 * once < twice < 3 * once


def test_what_of_a_judge_is_known_already_is_free(tmp_path: Path) -> None:
    async def compile_and_look() -> None:
        with pytest.MonkeyPatch.context() as patch:
            made = with_judge(tmp_path)
            ready, store = prepared(made, tmp_path), Store()
            resolved, now = ready.resolved("tuned"), snapshot(ready, "tuned")
            assert free(resolved, now, None, store).calls == 0
            built, _, _ = await compiled(patch, tmp_path, made, judged_by(agrees, learner), store=store)
            known = free(resolved, now, None, store)
            assert known.rows == 20
            # Every row's run, and one judging for each pair of labels that came up.
            assert 20 < known.calls <= 40
            record = tmp_path / "record.json"
            remember(record, now, {step.name: step.spent.calls for step in built.steps})
            whole = free(resolved, now, recall(record), store)
            assert whole.steps == ("demos", "search")
            assert whole.calls == known.calls + sum(step.spent.calls for step in built.steps)

    asyncio.run(compile_and_look())


# What makes two metrics the same -------------------------------------------------------------------

OTHERS = {
    "the model": POLITE.replace("strict", "fake"),
    "the words": POLITE.replace("polite", "kind"),
    "the name of what it sees": POLITE.replace("reply", "text"),
    "what it sees": POLITE.replace("pred.label", "pred.label + gold.label"),
    "another judge": "semantic_f1(gold.label, pred.label, strict)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_changes_a_judge_changes_the_metric(tmp_path: Path, name: str) -> None:
    before, after = metric(f"= {POLITE}"), metric(f"= {OTHERS[name]}")
    assert metric_digest(before) != metric_digest(after)
    made = project(tmp_path, DEMOS)
    found = [
        snapshot(prepared(one, tmp_path), "tuned")
        for one in (made.model_copy(update={"metrics": {"right": each}}) for each in (before, after))
    ]
    assert any(change.place.startswith("metric.judges") for change in changes(*found))


def test_comments_and_addresses_are_no_part_of_a_judge() -> None:
    moved = HEAD.replace(
        'strict { model = "embedded/strict"', 'strict { timeout = 9.0; retry = 1; model = "embedded/strict"'
    )
    here, there = metric(f"= {POLITE}"), metric(f"= {POLITE} # the reply alone", moved)
    assert metric_digest(here) == metric_digest(there)
    assert metric_digest(exact()) == metric_digest(exact().model_copy(update={"name": "other"}))


async def test_a_judge_that_changed_is_asked_anew_and_the_program_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, script = Store(), Script(judged_by(lambda _: {"reasoning": "", "score": 1.0}, oracle))
    same = tuple(Example(i, {"text": "row 0 of g0"}, {"label": "L0"}) for i in range(3))
    with scripted(monkeypatch, script) as engine:
        for body, calls in ((POLITE, 2), (OTHERS["the words"], 3), (OTHERS["the model"], 4), (POLITE, 4)):
            found = await Evaluator(engine, store, metric(f"= {body}")).evaluate(classifier(), same)
            assert found.score == 1.0
            assert script.calls == calls


async def test_a_wrong_program_is_not_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = with_judge(tmp_path, DEMOS, SEARCH)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, judged_by(agrees, wrong))
    assert built.baseline is not None
    assert built.baseline.score == 0.0
    assert not built.steps[0].result.program.predictors["ask"].demos[0].augmented
    assert built.baseline.rows[0].feedback.startswith("L? for L")
