"""`scoring = "enough"`: how many rows of val a compile looks at, what they tell, and what it says of that."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from building import DEMOS, SEARCH, compiled, plan_of, prepared, project
from hypothesis import given
from hypothesis import strategies as st
from scripted import Asked, exact, group, jitter, learner, oracle, rows, wrong

from dspec.compiler import ir
from dspec.compiler.compile.changes import snapshot
from dspec.compiler.compile.enough import NEARLY, affordable, looks, parts
from dspec.compiler.compile.selection import last_word
from dspec.compiler.evaluate.sequential import interval
from dspec.compiler.optimizers.base import LEAST_COMPARED
from dspec.runtime.artifact.artifact import artifact_text

MIPRO = ir.StepSpec(name="both", optimizer="MIPROv2")
BARE = MIPRO.model_copy(update={"options": {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}})
LABELS = ir.StepSpec(name="labels", optimizer="LabeledFewShot", options={"k": 4})
VAL = rows(200)


def block(*steps: ir.StepSpec, **given: Any) -> ir.Optimize:
    ref = ir.RowsRef(dataset="tickets", part="val")
    defaults: dict[str, Any] = {
        "name": "tuned",
        "program": "ask",
        "metric": "right",
        "train": ref,
        "val": ref,
    }
    return ir.Optimize(**(defaults | {"steps": steps, "emit": steps[-1].name} | given))


def cut(*steps: ir.StepSpec, val: int = 200, **given: Any) -> tuple[int, int]:
    raced, rest = parts(block(*steps, **given), exact(), rows(40), rows(val))
    return len(raced), len(rest)


def test_steps_compare_on_as_many_rows_as_they_can_make_use_of() -> None:
    assert cut(MIPRO) == (50, 150)
    assert cut(MIPRO, SEARCH) == (200, 0)
    assert cut(LABELS) == (LEAST_COMPARED, 150)
    assert cut(BARE) == (30, 170)
    assert cut(BARE, LABELS) == (LEAST_COMPARED, 150)
    assert cut(MIPRO, val=int(NEARLY * 50)) == (65, 0)
    assert cut(MIPRO, scoring="none") == (50, 0)
    assert cut(MIPRO, scoring="all") == (200, 0)
    assert parts(block(MIPRO, val=None), exact(), VAL, VAL) == (VAL, ())
    assert cut(MIPRO.model_copy(update={"compat": "dspy"})) == (200, 0)


def test_the_rows_are_drawn_by_the_seed_and_none_is_in_both_parts() -> None:
    raced, rest = parts(block(MIPRO), exact(), VAL, VAL)
    assert sorted(row.index for row in (*raced, *rest)) == list(range(200))
    assert [row.index for row in raced] == sorted(row.index for row in raced)
    assert (raced, rest) == parts(block(MIPRO), exact(), VAL, VAL)
    assert raced != parts(block(MIPRO, seed=1), exact(), VAL, VAL)[0]


def test_looks_double_and_keep_to_what_is_affordable() -> None:
    assert [(one.start, one.stop) for one in looks(45)] == [(0, 10), (10, 20), (20, 40), (40, 45)]
    assert list(looks(0)) == []
    assert affordable(150, 1000, 2) == 50
    assert affordable(7, 1000, 2) == 7
    assert affordable(7, 0, 0) == 0


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), max_size=60))
def test_an_interval_holds_the_mean_and_mirrors(differences: list[float]) -> None:
    low, high = interval(differences)
    assert -1 <= low <= high <= 1
    mean = sum(differences) / max(1, len(differences))
    assert low - 1e-6 <= mean <= high + 1e-6
    mirrored = interval([-one for one in differences])
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)
    assert interval(differences[::-1]) == (low, high)


def test_looking_again_and_again_is_seldom_wrong_and_a_difference_is_found() -> None:
    draws = random.Random(5)
    wrong_ever = found = 0
    for _ in range(100):
        equal: list[float] = []
        better: list[float] = []
        misled = told = False
        for _ in range(15):
            equal += [draws.choice((1.0, -1.0, 0.0, 0.0)) for _ in range(10)]
            better += [draws.choice((1.0, 1.0, -1.0, 0.0)) for _ in range(10)]
            low, high = interval(equal)
            misled |= low > 0 or high < 0
            told |= interval(better)[0] > 0
        wrong_ever += misled
        found += told
    assert wrong_ever <= 8, "stated: 5 of 100 at all looks together"
    assert found >= 60


def test_luck_counts_for_less_the_more_rows_no_step_has_seen() -> None:
    before, after = (0.0, 1.0) * 20, (1.0, 1.0, 0.0, 1.0) * 10
    rivals = [[after, before, (1.0, 0.0) * 20, (0.0, 0.0) * 20]]
    alone = last_word(before, after, rivals)
    assert alone.fresh == 0
    same = (1.0, 0.0) * 20
    seen = last_word(before, after, rivals, (same, same))
    assert seen.fresh == 40
    assert seen.chance == pytest.approx(alone.chance / 2)
    assert seen.worth.luck == pytest.approx(alone.worth.luck / 2)
    assert seen.comparison.difference == pytest.approx(alone.comparison.difference / 2)


def demos_help(asked: Asked) -> Mapping[str, object]:
    return oracle(asked) if asked.demos or asked.request.lm.name == "teacher" else wrong(asked)


def demos_help_a_little(asked: Asked) -> Mapping[str, object]:
    number = int(asked.question["text"].split()[1])
    return oracle(asked) if number % 9 == 0 or (asked.demos and number % 9 == 1) else wrong(asked)


@pytest.mark.parametrize("reply", [demos_help, demos_help_a_little])
async def test_a_compile_looks_until_it_is_certain(
    reply: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = (LABELS, SEARCH.model_copy(update={"options": {"num_candidate_programs": 2, "search": "full"}}))
    monkeypatch.setattr("dspec.compiler.optimizers.random_search.COMPARED_ON", 50)
    made = project(tmp_path, *steps, part=100)
    planned = plan_of(made, "tuned", tmp_path)
    assert planned.steps[1].val == 50
    texts: set[str] = set()
    for threads, latency in ((1, None), (16, jitter(1)), (64, jitter(2))):
        built, script, _ = await compiled(
            monkeypatch, tmp_path, made, reply, threads=threads, latency=latency
        )
        texts.add(artifact_text(built.artifact) + repr(built.notes) + repr(built.verdict))
        assert planned.least <= script.calls == built.spent.calls <= planned.most
    assert len(texts) == 1
    verdict, final = built.verdict, built.final
    assert verdict is not None
    assert final is not None
    assert built.artifact.scores["val"].n == len(final.rows) == 50 + verdict.fresh
    assert any(f"compared on {50 + verdict.fresh} of 100 rows of val" in note for note in built.notes)
    if reply is demos_help:
        assert (verdict.fresh, verdict.decided) == (0, True)
    else:
        assert 0 < verdict.fresh <= planned.further < 50
        assert not verdict.decided


async def test_all_rows_where_all_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, DEMOS, part=100, scoring="all")
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert built.artifact.scores["val"].n == 100
    assert not any("compared on" in note for note in built.notes)


async def test_at_the_wall_the_rows_that_both_were_scored_on_decide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = SEARCH.model_copy(update={"options": {"num_candidate_programs": 2, "search": "full"}})
    monkeypatch.setattr("dspec.compiler.optimizers.random_search.COMPARED_ON", 50)
    made = project(tmp_path, step, part=100)
    free, script, _ = await compiled(monkeypatch, tmp_path, made, demos_help_a_little)
    assert free.verdict is not None
    assert free.verdict.fresh > 0
    tight = project(
        tmp_path, step, part=100, budget=ir.Budget(calls=script.calls - 2 * free.verdict.fresh + 5)
    )
    built, _, _ = await compiled(monkeypatch, tmp_path, tight, demos_help_a_little, threads=1)
    assert built.status == "budget"
    assert built.verdict is not None
    assert built.verdict.fresh == 0
    assert built.artifact.scores["val"].n == 50
    assert any("could not be compared on further rows" in note for note in built.notes)


async def test_steps_that_gained_no_more_than_luck_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def first_matters(asked: Asked) -> Mapping[str, object]:
        return oracle(asked) if asked.demos and int(group(asked.question["text"])) < 3 else wrong(asked)

    for drops in (True, False):
        made = project(tmp_path, DEMOS, SEARCH, drops=drops)
        built, _, _ = await compiled(monkeypatch, tmp_path, made, first_matters)
        step = built.steps[1]
        assert step.verdict is not None
        assert not step.verdict.real
        record = built.artifact.provenance.steps[1]
        assert (record.gain, record.luck) == (step.verdict.comparison.difference, step.verdict.chance)
        expected = built.steps[0].result.program if drops else step.result.program
        assert built.artifact.program == expected
        assert any("step `search` is left out" in note for note in built.notes) is drops


def test_what_was_compiled_on_all_rows_is_not_told_as_changed_where_nothing_did(tmp_path: Path) -> None:
    small = snapshot(prepared(project(tmp_path, SEARCH), tmp_path), "tuned")
    assert small == snapshot(prepared(project(tmp_path, SEARCH, scoring="all"), tmp_path), "tuned")
    large = snapshot(prepared(project(tmp_path, MIPRO, part=100), tmp_path), "tuned")
    assert large != snapshot(prepared(project(tmp_path, MIPRO, part=100, scoring="all"), tmp_path), "tuned")
