"""`compat = "dspy"` without DSPy: what is planned, recorded and defined where there is little to choose from.

That the schedule is DSPy's is what `tests/differential` shows.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from building import compiled, plan_of, project
from scripted import Asked, Fields, Reply, classifier, jitter, learner, oracle, pipeline, rows, wrong
from stepping import step as default_step

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.data import Example, Rows
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context, Nested, Options, StepResult
from dspec.compiler.optimizers.compat.faithful import percent
from dspec.compiler.optimizers.compat.few_shot import as_demo, labeled, teacher_of
from dspec.compiler.optimizers.compat.mipro_search import Schedule
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.schema.types import OptionalOf

SMALL: dict[str, dict[str, Any]] = {
    "LabeledFewShot": {"k": 3},
    "BootstrapFewShot": {"max_labeled_demos": 4},
    "BootstrapFewShotWithRandomSearch": {"num_candidate_programs": 2, "max_labeled_demos": 4},
    "BootstrapFewShotWithOptuna": {"num_candidate_programs": 4, "max_labeled_demos": 4},
    "COPRO": {"breadth": 3, "depth": 2},
    "MIPROv2": {"auto": None, "num_candidates": 3, "num_trials": 4, "minibatch_size": 1},
}
BOOTSTRAPPING = (
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapFewShotWithOptuna",
    "MIPROv2",
)


def writer(reply: Reply) -> Reply:
    """Answers questions for instructions, too: another text for every question."""

    def answer(asked: Asked) -> Fields:
        if "instruction" in asked.wanted:
            recipe = json.dumps(asked.question, sort_keys=True) + str(asked.request.sample)
            return {"instruction": f"Give the label, in style {random.Random(recipe).randrange(10**6)}."}
        if {"observations", "summary"} & set(asked.wanted):
            return dict.fromkeys(asked.wanted, "Rows of groups.")
        found = reply(asked)
        assert isinstance(found, dict)
        return found

    return answer


def faithful(optimizer: str, **more: Any) -> ir.StepSpec:
    return ir.StepSpec(name="tune", optimizer=optimizer, options=SMALL[optimizer], compat="dspy", **more)


@pytest.mark.slow
@pytest.mark.parametrize("with_val", [True, False])
@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
@pytest.mark.parametrize("optimizer", SMALL)
async def test_the_plan_is_never_passed_and_width_changes_nothing(
    optimizer: str, program: Program, with_val: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, faithful(optimizer), program=program, **({} if with_val else {"val": None}))
    texts: set[str] = set()
    for threads in (1, 16):
        built, _, tally = await compiled(
            monkeypatch, tmp_path, made, writer(learner), threads=threads, latency=jitter(threads)
        )
        assert built.status == "complete"
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= tally.calls <= planned.most
        (outcome,) = built.steps
        for spent, bound in (
            (outcome.spent.task.calls, planned.steps[0].task),
            (outcome.spent.teacher.calls, planned.steps[0].teacher),
            (outcome.spent.prompt.calls, planned.steps[0].prompt),
        ):
            assert spent <= bound.most
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1
    record = json.loads(texts.pop())["provenance"]["steps"][0]
    assert record["options"]["compat"] == "dspy"


async def run(
    optimizer: str,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    *,
    train: Rows,
    student: Program | None = None,
    teacher: Program | None = None,
    seed: int = 0,
    budget: ir.Budget | None = None,
    nested: dict[str, Nested] | None = None,
    **options: Any,
) -> StepResult:
    """One faithful run without val."""
    from scripted import Script, exact, scripted

    with scripted(monkeypatch, Script(writer(reply))) as engine:
        wall = None if budget is None else Wall(budget)
        context = Context(
            evaluator=Evaluator(engine, Store(), exact(), wall=wall),
            train=train,
            val=train,
            teacher=teacher,
            rng=lambda name: stream(seed, "step", name),
            progress=lambda label, score: None,
            seed=seed,
            val_given=optimizer == "MIPROv2",
            nested=nested or {},
        )
        chosen = Options(SPECS[optimizer], SMALL.get(optimizer, {}) | options)
        return await FAITHFUL[optimizer].run(student or classifier(), chosen, context)


@pytest.mark.parametrize("reply", [wrong, oracle], ids=["never right", "always right"])
@pytest.mark.parametrize(
    "train",
    [
        rows(1),
        rows(3),
        tuple(Example(i, {"text": "row 0 of g0"}, {"label": "L0"}) for i in range(4)),
    ],
    ids=["1 row", "3 rows", "same rows"],
)
@pytest.mark.parametrize("optimizer", SMALL)
async def test_little_to_choose_from(
    optimizer: str, train: Rows, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await run(optimizer, monkeypatch, reply, train=train)
    assert isinstance(result.program, Program)
    demos = result.program.predictors["ask"].demos
    assert len(demos) <= len(train)
    if reply is wrong:
        assert not any(demo.augmented for demo in demos)
    for candidate in result.candidates:
        assert percent(candidate.scores) == (0.0 if reply is wrong else 100.0)
        assert len(candidate.scores) == len(train)


@pytest.mark.parametrize("optimizer", BOOTSTRAPPING)
async def test_no_bootstrapped_demos_are_labels_where_dspy_fails(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await run(
        optimizer, monkeypatch, learner, train=rows(6), max_bootstrapped_demos=0, max_labeled_demos=2
    )
    for candidate in result.candidates:
        assert isinstance(candidate.program, Program)
        demos = candidate.program.predictors["ask"].demos
        assert len(demos) <= 2
        assert not any(demo.augmented for demo in demos)


@pytest.mark.parametrize("optimizer", ["BootstrapFewShotWithRandomSearch", "COPRO", "MIPROv2"])
async def test_at_the_wall_the_best_so_far_is_the_result(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await run(optimizer, monkeypatch, learner, train=rows(6), budget=ir.Budget(calls=20))
    assert result.cut is not None
    assert result.candidates
    scores = [percent(candidate.scores) for candidate in result.candidates]
    assert scores == sorted(scores, reverse=True)


async def test_a_threshold_of_zero_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await run("BootstrapFewShot", monkeypatch, wrong, train=rows(4), metric_threshold=0.0)
    assert isinstance(found.program, Program)
    assert not any(demo.augmented for demo in found.program.predictors["ask"].demos)


async def test_rounds_are_told_where_stats_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await run("COPRO", monkeypatch, oracle, train=rows(4), track_stats=True)
    assert found.notes == tuple(f"round {n}: best 100.0, mean 100.0, worst 100.0" for n in (1, 2))


async def test_it_is_another_schedule_than_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    train = rows(12)
    ours = await default_step(monkeypatch, "LabeledFewShot", learner, train=train, k=4)
    theirs = await run("LabeledFewShot", monkeypatch, learner, train=train, k=4)
    assert isinstance(theirs.program, Program)
    assert ours.program.predictors["ask"].demos != theirs.program.predictors["ask"].demos


def test_rows_are_drawn_whole_even_where_they_show_nothing() -> None:
    made = labeled(pipeline(), rows(8), 3)
    first, second = (made.predictors[address].demos for address in ("summarize", "decide"))
    assert [demo.outputs for demo in first] == [{}, {}, {}]
    assert all(demo.outputs for demo in second)
    assert as_demo(made.predictors["summarize"], rows(1)[0]) == Demo(
        inputs={"text": "row 0 of g0"}, outputs={}
    )


def test_a_row_without_a_label_is_no_demo_with_null() -> None:
    """DSPy's `Example` lacks the field then, and its prompts leave such a demo out."""
    unlabelled = tuple(
        Example(i, {"text": f"row {i}"}, {"label": f"L{i}" if i % 2 else None}) for i in range(6)
    )
    (predictor,) = labeled(classifier(), unlabelled, 6).predictors.values()
    assert sorted(len(demo.outputs) for demo in predictor.demos) == [0, 0, 0, 1, 1, 1]
    assert all(
        demo.outputs == {"label": f"L{demo.inputs['text'][-1]}"} for demo in predictor.demos if demo.outputs
    )
    output = predictor.signature.outputs[0]
    nullable = output.model_copy(update={"type": OptionalOf(item=output.type)})
    signature = predictor.signature.model_copy(update={"outputs": (nullable,)})
    answer = as_demo(predictor.model_copy(update={"signature": signature}), unlabelled[0])
    assert answer.outputs == {"label": None}


def test_labels_replace_a_teacher_s_demos_unless_it_was_bootstrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Demo(inputs={"text": "a"}, outputs={"label": "b"})
    written = classifier().with_predictor("ask", demos=(own,))
    taught = classifier().with_predictor("ask", demos=(own.model_copy(update={"augmented": True}),))
    context: Any = Context(
        evaluator=None,  # type: ignore[arg-type]
        train=(),
        val=(),
        teacher=None,
        rng=random.Random,
        progress=lambda label, score: None,
    )

    def prepared(student: Program, teacher: Program | None, labels: int) -> tuple[Demo, ...]:
        from msgspec.structs import replace

        found = teacher_of(student, rows(5), labels, replace(context, teacher=teacher))
        assert isinstance(found, Program)
        return found.predictors["ask"].demos

    assert prepared(classifier(), taught, 3) == taught.predictors["ask"].demos
    assert own not in prepared(classifier(), written, 3)
    assert prepared(written, None, 0) == (own,)
    # A student that is its own teacher is never taken as bootstrapped: DSPy refuses one that is.
    assert len(prepared(taught, None, 3)) == 3


def test_full_evaluations_come_after_every_few_trials_and_at_the_end() -> None:
    def after(trials: int, every: int) -> list[int]:
        """Trials, counted from 1, that a full evaluation follows; the sampler counts those evaluations."""
        number, found = 1, list[int]()
        for trial in range(1, trials + 1):
            number += 1
            if Schedule(trials, 1, every).full_after(number):
                found.append(trial)
                number += 1
        return found

    assert after(12, 5) == [5, 10, 12]
    assert after(10, 5) == [5, 10]
    assert after(3, 5) == [3]
    assert not Schedule(10, 1, None).full_after(6)


async def test_better_together_runs_its_optimizers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = {
        name: Nested(optimizer, SPECS[optimizer], Options(SPECS[optimizer], SMALL[optimizer]))
        for name, optimizer in (("c", "COPRO"), ("d", "BootstrapFewShot"))
    }
    result = await run(
        "BetterTogether",
        monkeypatch,
        learner,
        train=rows(20),
        nested=nested,
        strategy="c -> d",
        valset_ratio=0.3,
    )
    assert {candidate.label for candidate in result.candidates} == {"as it came", "c", "c -> d"}
    assert result.scored_on == rows(20)[:6]
    unscored = await run(
        "BetterTogether", monkeypatch, learner, train=rows(9), nested=nested, strategy="d", valset_ratio=0.0
    )
    assert not unscored.candidates
    assert isinstance(unscored.program, Program)
    assert unscored.program.predictors["ask"].demos


SOURCE = """dspec 1

lm mini { model = "openai/gpt-4o-mini" }
signature Route { "Route it."; input text: str; output label: str }
module router = Predict(Route)
dataset tickets { source = jsonl("rows.jsonl"); input text: str; field label: str }
metric right(gold: tickets, pred: router) = gold.label == pred.label
optimize tuned {
  program = router; metric = right; train = tickets; BLOCK
  step labels = LabeledFewShot(STEP)
  step together = BetterTogether(d = BootstrapFewShot(), strategy = "d", student = router)
  step vote = Ensemble([labels, together])
}
"""


@pytest.mark.parametrize(
    ("block", "step", "found"),
    [
        ("seed = 1", "k = 2", [None, None, None]),
        ("seed = 1", 'k = 2, compat = "dspy"', ["dspy", None, None]),
        ('compat = "dspy"', "", ["dspy", "dspy", "dspy"]),
        ('compat = "dspy"', "compat = none", [None, "dspy", "dspy"]),
    ],
)
def test_a_step_s_own_word_counts_before_the_block_s(
    block: str, step: str, found: list[str | None], tmp_path: Path
) -> None:
    lines = [json.dumps({"text": f"row {i}", "label": "ab"[i % 2]}) for i in range(20)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    (tmp_path / "main.dspec").write_text(SOURCE.replace("BLOCK", block).replace("STEP", step))
    analysis = analyse(tmp_path / "main.dspec")
    assert analysis.project is not None, [one.message for one in analysis.diagnostics]
    steps = analysis.project.optimizes["tuned"].steps
    assert [step.compat for step in steps] == found


OWN = {"search"}
"""Options that only this project has, and that choose a schedule."""


@pytest.mark.parametrize("optimizer", FAITHFUL)
def test_options_that_choose_a_schedule_are_refused_where_it_is_dspys(optimizer: str) -> None:
    names = {option.name for option in SPECS[optimizer].options}
    unknown = set(FAITHFUL[optimizer].unknown)
    assert unknown <= names
    assert not OWN & names - unknown
