"""The plan equals reality: no step passes what it promised, and each meets it within a tenth when nothing is shared.

What is shared, and makes a step cheaper than its most, is kept out: no run passes, so that a teacher tries every row;
every text that is written is new; demos are drawn so that no two sets are alike. A race ends only arms that are
sure to be worse: of arms that are equally bad none is, so its most is met, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, plan_of, project
from every_step import CASES, GEPA, RANDOM, SETS, TRIALS, WORDS, Case, improves, step, writes
from scripted import Reply, classifier, jitter, learner, oracle, pipeline, wrong

from dspec.compiler import ir
from dspec.compiler.evaluate.meter import Account
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue

every = pytest.mark.parametrize("name", [*CASES, "GEPA"])
programs = pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])


async def parts(
    monkeypatch: pytest.MonkeyPatch, folder: Path, case: Case, program: Program, reply: Reply
) -> dict[str, tuple[int, int, int]]:
    """By part: the least that was planned, what was spent, and the most. Asserts that none is passed."""
    made = project(folder, case.step, program=program)
    planned = plan_of(made, "tuned", folder)
    built, _, _ = await compiled(monkeypatch, folder, made, writes(reply), latency=jitter(most=0.001))
    assert built.status == "complete"
    (promised,) = planned.steps
    # Where the start is perfect, no step runs.
    spent = built.steps[0].spent if built.steps else Account()
    found = {
        "task": (promised.task.least, spent.task.calls, promised.task.most),
        "teacher": (promised.teacher.least, spent.teacher.calls, promised.teacher.most),
        "prompt": (promised.prompt.least, spent.prompt.calls, promised.prompt.most),
        "step": (0, spent.calls, promised.calls.most),
        "all": (planned.least, built.spent.calls, planned.most),
    }
    assert all(used <= most for _, used, most in found.values()), found
    assert planned.least <= built.spent.calls
    return found


@pytest.mark.slow
@every
@programs
@pytest.mark.parametrize("reply", [learner, oracle, improves])
async def test_the_bound_is_never_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, program: Program, reply: Reply
) -> None:
    await parts(monkeypatch, tmp_path, CASES.get(name, GEPA), program, reply)


@pytest.mark.parametrize("name", [name for name in CASES if name != "Auto"])
@programs
async def test_the_bound_is_met_when_nothing_is_shared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, program: Program
) -> None:
    found = await parts(monkeypatch, tmp_path, CASES[name], program, CASES[name].reply)
    """But by `Auto`, which ends where nothing is likely to pay."""
    _, used, most = found["step"]
    assert used >= 0.9 * most, found


@programs
async def test_gepa_meets_its_budget_of_rows_or_its_reflections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Program
) -> None:
    """Never both: a child that does better takes all of val, one that does not leaves room to reflect again."""
    better = await parts(monkeypatch, tmp_path, GEPA, program, improves)
    assert better["task"][1] >= 0.9 * better["task"][2], better
    never = await parts(monkeypatch, tmp_path, GEPA, program, wrong)
    assert never["prompt"][1] == never["prompt"][2], never


@pytest.mark.slow
@every
@pytest.mark.parametrize("reply", [learner, oracle, wrong])
@pytest.mark.parametrize("val", [{}, {"val": None}], ids=["val", "train alone"])
async def test_what_nobody_scores_before_takes_the_least_of_its_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, reply: Reply, val: dict[str, None]
) -> None:
    step_alone = CASES.get(name, GEPA).step
    made = project(tmp_path, step_alone, scoring="none", **val)
    planned = plan_of(made, "tuned", tmp_path)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, writes(reply))
    assert planned.least <= built.spent.calls <= planned.most
    (promised,) = planned.steps
    assert planned.least == promised.calls.least or (val and promised.task.least and promised.teacher.least)


@pytest.mark.parametrize("optimizer", [RANDOM, "COPRO", "MIPROv2"])
async def test_a_race_lies_between_its_least_and_its_most_and_below_a_full_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, optimizer: str
) -> None:
    full: dict[str, JsonValue] = {"minibatch": False} if optimizer == "MIPROv2" else {"search": "full"}
    spent: list[int] = []
    for more in ({}, full):
        options = {RANDOM: SETS, "COPRO": WORDS, "MIPROv2": TRIALS}[optimizer]
        case = Case(step(optimizer, **{**options, **more}))
        least, used, most = (await parts(monkeypatch, tmp_path, case, classifier(), wrong))["all"]
        assert least <= used <= most
        spent.append(used)
    assert spent[0] < 0.75 * spent[1]


@programs
async def test_an_ensemble_asks_nothing_and_its_scoring_is_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Program
) -> None:
    steps = (
        step("LabeledFewShot", k=2).model_copy(update={"name": "labels"}),
        step("BootstrapFewShot").model_copy(update={"name": "demos"}),
        ir.StepSpec(
            name="vote",
            optimizer="Ensemble",
            members=(ir.MemberRef(program="labels"), ir.MemberRef(program="demos")),
        ),
    )
    made = project(tmp_path, *steps, program=program)
    planned = plan_of(made, "tuned", tmp_path)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, wrong)
    assert planned.steps[2].calls.most == built.steps[2].spent.calls == 0
    assert planned.final.most == 2 * planned.baseline.most
    assert built.spent.calls == planned.most


def test_every_optimizer_is_here() -> None:
    steps = [case.step for case in (*CASES.values(), GEPA)]
    assert {one.optimizer for one in steps if one.compat is None} == SPECS.keys() - {
        "Ensemble",
        "Prune",
        "BootstrapFinetune",
        "GRPO",
    }
    # DSPy's ensemble is gathered as ours is.
    assert {one.optimizer for one in steps if one.compat} == set(FAITHFUL) - {"Ensemble"}
