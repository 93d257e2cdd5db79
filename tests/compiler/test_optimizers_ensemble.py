"""Ensemble in a compile: members from steps and searches, saved whole, scored, and used as a teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import DEMOS, build, compiled, gain, loaded_again, plan_of, project
from building import SEARCH as RACED
from scripted import (
    Asked,
    Script,
    classifier,
    exact,
    group,
    jitter,
    knowing,
    learner,
    oracle,
    pipeline,
    rows,
    scripted,
    wrong,
)
from stepping import step

from dspec.compiler import ir
from dspec.compiler.compile.built import Built
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers.base import OptimizerError
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.running.election import drawn
from dspec.runtime.schema.ensemble import Ensemble, Majority
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.schema.types import JsonValue

MAJORITY: JsonValue = {"kind": "majority", "field": "label"}


def vote(*members: ir.MemberRef, name: str = "vote", **options: JsonValue) -> ir.StepSpec:
    return ir.StepSpec(name=name, optimizer="Ensemble", options=options, members=members)


SEARCH = RACED.model_copy(update={"options": {**RACED.options, "search": "full"}})
TOP = ir.MemberRef(program="search", candidates=True, top=5)
VOTE = vote(TOP, reduce=MAJORITY)


def ensemble(built: Built) -> Ensemble:
    assert isinstance(built.artifact.program, Ensemble)
    return built.artifact.program


async def test_the_best_of_a_search_are_gathered_and_cost_nothing_to_score(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, DEMOS, SEARCH, VOTE)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, learner, latency=jitter())
    best = [candidate.program for candidate in built.steps[1].result.candidates[:5]]
    assert list(ensemble(built).members) == best
    assert built.artifact.kind == "ensemble"
    assert built.steps[2].spent.calls == 0
    # The members' runs on val are in the store from when they were candidates.
    assert script.calls == sum(outcome.spent.calls for outcome in built.steps) + 20
    assert gain(built) > 0
    planned = plan_of(made, "tuned", tmp_path)
    assert planned.steps[2].calls.most == 0
    assert planned.final.most == 5 * 20
    assert planned.least <= built.spent.calls <= planned.most


async def test_a_race_brings_as_many_to_the_end_as_the_ensemble_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    top = ir.MemberRef(program="search", candidates=True, top=3)
    made = project(tmp_path, RACED, vote(top))
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert len(ensemble(built).members) == 3
    assert built.spent.calls <= plan_of(made, "tuned", tmp_path).most


async def test_saved_and_loaded_it_scores_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, DEMOS, SEARCH, vote(TOP, reduce=MAJORITY, size=3))
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    result = await loaded_again(monkeypatch, tmp_path, made, built, learner)
    assert result.spent.calls <= 3 * 20


async def test_a_vote_of_specialists_is_better_than_any_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stubborn(asked: Asked) -> dict[str, str]:
        """Right where a demo shows the group; otherwise an answer of its own, or none."""
        text = asked.question["text"]
        known = {group(shown["text"]) for shown, _ in asked.demos}
        return {"label": f"L{group(text)}" if group(text) in known else "..."}

    members = tuple(knowing(number) for number in range(3))
    done = await step(monkeypatch, "Ensemble", stubborn, members=members)
    made = done.result.program
    assert isinstance(made, Ensemble)
    assert made.reduce == Majority(field="label")
    assert done.script.calls == 0
    with scripted(monkeypatch, Script(stubborn)) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        assert (await evaluator.evaluate(members[0], rows(12))).score == pytest.approx(1 / 3)
        assert (await evaluator.evaluate(made, rows(12))).score == 1.0
        assert evaluator.spent.task.calls == 3 * 12


async def test_members_by_name_keep_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    members = (ir.MemberRef(program="router"), ir.MemberRef(program="demos"))
    made = project(tmp_path, DEMOS, vote(*members))
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    made_of = built.steps[1].result.program
    assert isinstance(made_of, Ensemble)
    assert made_of.members == (classifier(), built.steps[0].result.program)
    # Without a rule, the last output is voted on.
    assert made_of.reduce == Majority(field="label")


async def test_the_teacher_of_a_bootstrap_may_be_an_ensemble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taught = DEMOS.model_copy(update={"name": "taught", "student": "router", "teacher": "vote"})
    made = project(tmp_path, SEARCH, VOTE, taught)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner, latency=jitter())
    program = built.artifact.program
    assert isinstance(program, Program)
    assert [demo.augmented for demo in program.predictors["ask"].demos] == [True] * 4
    assert gain(built) > 0
    planned = plan_of(made, "tuned", tmp_path)
    assert planned.steps[2].teacher.most == 20 * 5
    assert planned.least <= built.spent.calls <= planned.most


async def test_a_teachers_demos_come_from_a_member_that_agreed_with_the_vote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_instruction(asked: Asked) -> dict[str, str]:
        text = asked.question["text"]
        right = "Bad" not in asked.request.messages[0].content
        return {"gist": "good" if right else "bad", "label": f"L{group(text)}" if right else "L?"}

    good = pipeline()
    bad = good.with_predictor("decide", instruction="Bad.").with_predictor("summarize", instruction="Bad.")
    teacher = Ensemble(
        name="t",
        inputs=good.inputs,
        outputs=good.outputs,
        members=(bad, good, good),
        reduce=Majority(field="label"),
    )
    done = await step(
        monkeypatch, "BootstrapFewShot", by_instruction, student=good, teacher=teacher, max_labeled_demos=0
    )
    assert {demo["gist"] for demo in done.demos("decide")} == {"good"}
    # Members alike share their runs.
    assert done.script.calls == done.spent.teacher.calls == 4 * 2 * 2
    assert done.spent.calls <= done.promised.most


async def test_a_teacher_does_not_show_a_row_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = classifier().with_predictor(
        "ask", demos=(Demo(inputs={"text": "row 0 of g0"}, outputs={"label": "L0"}),)
    )
    teacher = Ensemble(
        name="t", inputs=shown.inputs, outputs=shown.outputs, members=(shown,), reduce=Majority(field="label")
    )
    done = await step(monkeypatch, "BootstrapFewShot", oracle, teacher=teacher, train=rows(2))
    assert sorted((asked.question["text"], len(asked.demos)) for asked in done.script.asked) == [
        ("row 0 of g0", 0),
        ("row 1 of g1", 1),
    ]


async def test_an_ensemble_is_not_tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, SEARCH, VOTE, DEMOS)
    with pytest.raises(OptimizerError, match="step `demos`: an ensemble cannot be tuned"):
        plan_of(made, "tuned", tmp_path)
    nested = vote(ir.MemberRef(program="vote"), name="again")
    with pytest.raises(OptimizerError, match="`vote` is an ensemble already"):
        plan_of(project(tmp_path, SEARCH, VOTE, nested), "tuned", tmp_path)


async def test_members_that_answer_another_question_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = pipeline().model_copy(
        update={"outputs": (pipeline().outputs[0].model_copy(update={"name": "topic"}),)}
    )
    with pytest.raises(OptimizerError, match="its outputs differ from those of `router` in `label`"):
        await step(monkeypatch, "Ensemble", oracle, members=(classifier(), other))
    with pytest.raises(OptimizerError, match="no members"):
        await step(monkeypatch, "Ensemble", oracle)
    rule: JsonValue = {"kind": "mean", "field": "label"}
    with pytest.raises(OptimizerError, match="`label` is not a float"):
        await step(monkeypatch, "Ensemble", oracle, members=(classifier(),), reduce=rule)


async def test_one_member_and_a_size_beyond_the_members_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = await step(monkeypatch, "Ensemble", oracle, members=(classifier(),))
    assert alone.result.notes == ("the ensemble has one member, which answers alone",)
    both = await step(monkeypatch, "Ensemble", oracle, members=(knowing(0), knowing(1)), size=4)
    assert both.result.notes == ("all 2 members answer: there are no more than `size`",)
    assert isinstance(both.result.program, Ensemble)
    assert both.result.program.size is None


@pytest.mark.parametrize("seed", [0, 1])
async def test_the_seed_decides_who_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int
) -> None:
    made = project(tmp_path, SEARCH, vote(TOP, size=2), seed=seed)
    first, _, _ = await compiled(monkeypatch, tmp_path, made, learner, threads=1)
    second, _, _ = await compiled(monkeypatch, tmp_path, made, learner, threads=32, latency=jitter(seed))
    assert artifact_text(first.artifact) == artifact_text(second.artifact)
    other = made.optimizes["tuned"].model_copy(update={"seed": seed + 5})
    third, _, _ = await compiled(
        monkeypatch, tmp_path, made.model_copy(update={"optimizes": {"tuned": other}}), learner
    )
    draws = [[drawn(ensemble(one), {"text": f"t{n}"}) for n in range(30)] for one in (first, third)]
    assert draws[0] != draws[1]


async def test_fewer_candidates_than_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A search whose candidates all come out alike leaves one.
    search = SEARCH.model_copy(update={"options": {"num_candidate_programs": 0, "restrict": [-3]}})
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, search, VOTE), wrong)
    alone = built.steps[1].result.program
    assert isinstance(alone, Ensemble)
    assert len(alone.members) == 1
    # It is no better than its only member, which is kept.
    assert built.artifact.program == classifier()
    assert built.final is not None
    assert built.final.score == 0.0
    every = vote(ir.MemberRef(program="search", candidates=True))
    made = project(tmp_path, SEARCH, every)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert len(ensemble(built).members) == len(built.steps[0].result.candidates)
    assert built.spent.calls <= plan_of(made, "tuned", tmp_path).most


async def test_at_the_wall_the_best_program_is_written_not_half_an_ensemble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Members that nobody has scored: the ensemble's own scoring meets the wall.
    members = vote(ir.MemberRef(program="router"), ir.MemberRef(program="labels"))
    labels = ir.StepSpec(name="labels", optimizer="LabeledFewShot", options={"k": 2})
    made = project(tmp_path, labels, members, budget=ir.Budget(calls=25))
    built, script, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert script.calls == 25
    assert built.status == "budget"
    assert built.final is None, "what it holds was never scored"
    assert len(ensemble(built).members) == 2
    assert any("could not be scored" in note for note in built.notes)


async def test_no_halt_is_lost_among_members(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = Ensemble(
        name="t",
        inputs=classifier().inputs,
        outputs=classifier().outputs,
        members=(knowing(0), knowing(1)),
        reduce=Majority(field="label"),
    )
    with pytest.raises(BudgetExceeded):
        await step(
            monkeypatch,
            "BootstrapFewShot",
            wrong,
            teacher=teacher,
            budget=ir.Budget(calls=3),
            latency=jitter(),
        )


def going_on(made: ir.Project) -> ir.Project:
    """The project with blocks that go on whatever their rows end with."""
    blocks = {name: one.model_copy(update={"on_error": "score_zero"}) for name, one in made.optimizes.items()}
    return made.model_copy(update={"optimizes": blocks})


async def test_a_member_with_unusable_answers_neither_votes_nor_stops_the_compile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, DEMOS, vote(ir.MemberRef(program="router"), ir.MemberRef(program="demos")))
    # The program alone is never readable, which would stop the compile.
    made = going_on(made)

    def silent_without_demos(asked: Asked) -> dict[str, str] | str:
        return oracle(asked) if asked.demos and "text" in asked.question else ""

    first, _, _ = await compiled(monkeypatch, tmp_path, made, silent_without_demos)
    assert first.final is not None
    assert first.final.score == 1.0
    assert first.final.failures == 0


async def test_every_answer_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, store = Script(learner), Store()
    made = project(tmp_path, DEMOS, SEARCH, VOTE)
    with scripted(monkeypatch, script) as engine:
        first = await build(made, "tuned", tmp_path, engine=engine, store=store)
        calls = script.calls
        second = await build(made, "tuned", tmp_path, engine=engine, store=store)
    assert script.calls == calls
    assert artifact_text(first.artifact) == artifact_text(second.artifact)
