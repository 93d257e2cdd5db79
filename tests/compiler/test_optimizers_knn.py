"""KNNFewShot: each row is bootstrapped once, and an input is shown the rows most like it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from building import DEMOS, compiled, gain, loaded_again, plan_of, project
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
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.digests import program_digest
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers import knn_few_shot, prompt_room
from dspec.compiler.optimizers.base import OptimizerError
from dspec.compiler.optimizers.demos import has_demos, hide, without_demos
from dspec.compiler.optimizers.prompt_room import PromptRoom
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.running.neighbours import nearest
from dspec.runtime.schema.ensemble import Ensemble, Majority
from dspec.runtime.schema.expressions import Constant
from dspec.runtime.schema.program import Demo, Neighbours, Program, digest
from dspec.runtime.schema.types import JsonValue

KNN = "KNNFewShot"
NEAR = ir.StepSpec(name="near", optimizer=KNN, options={"k": 3})


def index(done: Stepped) -> Neighbours:
    assert done.program.neighbours is not None
    return done.program.neighbours


async def test_demos_that_are_shown_together_fit_into_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    train = tuple(Example(n, {"text": f"row {n} {'word ' * 300}"}, {"label": "L1"}) for n in range(6))
    whole = await step(monkeypatch, KNN, lambda asked: "L1", train=train, k=3)
    monkeypatch.setattr(prompt_room, "context_window", lambda lm: 1500)
    done = await step(monkeypatch, KNN, lambda asked: "L1", train=train, k=3)
    texts = [str(row.bootstrapped["ask"].inputs["text"]) for row in index(done).rows]
    assert [row.text for row in index(done).rows] == [row.text for row in index(whole).rows]
    assert len({len(text) for text in texts}) == 1
    assert 200 < len(texts[0]) < len(str(train[0].inputs["text"]))
    assert sum(map(len, texts[:3])) / 4 < 1500
    assert PromptRoom().notes(done.program) == (
        "a prompt of `ask` holds 1,500 tokens: long texts of 6 demos are cut",
    )


async def test_every_row_is_bootstrapped_once_at_compile_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, KNN, oracle)
    assert done.script.calls == done.promised.least == done.promised.most == 12
    assert [row.text for row in index(done).rows] == [f"text: row {n} of g{n % 3}" for n in range(12)]
    assert all(row.bootstrapped["ask"].augmented for row in index(done).rows)
    # What is solved needs no label beside it: at most 3 rows are shown, and 4 may be bootstrapped.
    assert not any(row.labelled for row in index(done).rows)
    assert done.program.predictors["ask"].demos == ()
    assert done.result.notes == ("the metric accepted 12 of 12 rows",)


async def test_a_row_is_taught_by_its_neighbours_labels_and_never_by_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(monkeypatch, KNN, oracle, k=2)
    for asked in done.script.asked:
        shown = [demo["text"] for demo, _ in asked.demos]
        assert len(shown) == 2
        assert asked.question["text"] not in shown
    bare = await step(monkeypatch, KNN, oracle, k=2, max_labeled_demos=0)
    assert {len(asked.demos) for asked in bare.script.asked} == {0}


async def test_rows_that_fail_show_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(asked: Asked) -> dict[str, str]:
        text = asked.question["text"]
        return {"label": f"L{group(text)}" if int(text.split()[1]) % 2 else "L?"}

    done = await step(monkeypatch, KNN, odd)
    kinds = [("ask" in row.bootstrapped, "ask" in row.labelled) for row in index(done).rows]
    assert kinds == [(False, True), (True, False)] * 6
    failing = await step(monkeypatch, KNN, wrong)
    assert all(row.labelled and not row.bootstrapped for row in index(failing).rows)


async def test_labels_are_kept_where_more_rows_are_shown_than_may_be_bootstrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(monkeypatch, KNN, oracle, k=5, max_bootstrapped_demos=1)
    assert all(row.labelled and row.bootstrapped for row in index(done).rows)
    labels = await step(monkeypatch, KNN, oracle, max_bootstrapped_demos=0)
    assert labels.script.calls == labels.promised.most == 0
    assert all(row.labelled and not row.bootstrapped for row in index(labels).rows)


async def test_inner_steps_get_demos_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, KNN, oracle, student=pipeline())
    row = index(done).rows[4]
    assert row.bootstrapped == {
        "summarize": Demo(inputs={"text": "row 4 of g1"}, outputs={"gist": "so"}, augmented=True),
        "decide": Demo(inputs={"text": "row 4 of g1", "gist": "so"}, outputs={"label": "L1"}, augmented=True),
    }
    assert done.script.calls == done.promised.most == 24


async def test_existing_demos_give_way_and_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, KNN, oracle, student=knowing(7))
    assert {len(asked.demos) for asked in done.script.asked} == {1}
    assert done.program.predictors["ask"].demos == ()


async def test_it_is_a_program_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, NEAR)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, learner, latency=jitter())
    assert gain(built) > 0.4
    # Baseline, one attempt a row, and one call for each row that is scored.
    assert script.calls == built.spent.calls == 20 + 20 + 20
    planned = plan_of(made, "tuned", tmp_path)
    assert planned.least <= built.spent.calls <= planned.most
    await loaded_again(monkeypatch, tmp_path, made, built, learner)


async def test_as_a_teacher_and_as_a_student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, NEAR, DEMOS), learner)
    assert isinstance(built.artifact.program, Program)
    # The step that sets demos for good replaces those chosen per input.
    assert built.artifact.program.neighbours is None
    assert [demo.augmented for demo in built.artifact.program.predictors["ask"].demos] == [True] * 4
    taught = DEMOS.model_copy(update={"student": "router", "teacher": "near"})
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, NEAR, taught), learner)
    assert isinstance(built.artifact.program, Program)
    assert [demo.augmented for demo in built.artifact.program.predictors["ask"].demos] == [True] * 4


async def test_instructions_are_rewritten_around_the_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zero: dict[str, JsonValue] = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0, "auto": "light"}
    joint = ir.StepSpec(name="joint", optimizer="MIPROv2", options=zero)

    def proposing(asked: Asked) -> dict[str, str]:
        if "text" in asked.question:
            # Never all right: where nothing can be better, nothing is proposed.
            return wrong(asked) if int(asked.question["text"].split()[1]) % 5 == 0 else learner(asked)
        number = sum(len(message.content) for message in asked.request.messages) + asked.request.sample
        return dict.fromkeys(asked.wanted, f"Do it in way {number}.")

    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, NEAR, joint), proposing)
    near = built.steps[0].result.program
    assert isinstance(near, Program)
    assert near.neighbours is not None
    assert len(built.steps[1].result.candidates) > 1
    for candidate in built.steps[1].result.candidates:
        assert candidate.program.neighbours == near.neighbours


async def test_a_row_that_is_asked_about_is_hidden_from_its_own_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(monkeypatch, KNN, oracle, k=1)
    row = Example(4, {"text": "row 4 of g1"}, {"label": "L1"})
    asked = hide(done.program, row)
    hidden = asked.neighbours
    assert hidden is not None
    assert nearest(index(done), "text: row 4 of g1") == (4,)
    assert len(nearest(hidden, "text: row 4 of g1")) == 1
    assert nearest(hidden, "text: row 4 of g1") != (4,)
    everyone = hidden.model_copy(update={"k": 99})
    assert set(nearest(everyone, "text: row 4 of g1")) == set(range(12)) - {4}
    # Its runs are others than those of the whole index, and what is written of it is the same.
    assert program_digest(asked) != program_digest(done.program)
    assert asked.model_dump() == done.program.model_dump()
    stranger = Example(99, {"text": "in no index"}, {"label": "L1"})
    assert hide(done.program, stranger) is done.program
    assert has_demos(done.program)
    assert without_demos(done.program).neighbours is None


async def test_an_index_is_hashed_once_and_not_for_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def counting(value: object) -> str:
        if isinstance(value, list):
            hashed.append(len(value))
        return digest(value)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]

    monkeypatch.setattr("dspec.compiler.evaluate.digests.digest", counting)
    done = await step(monkeypatch, KNN, oracle, train=rows(30))
    assert done.spent.calls == 30
    assert hashed == [30]
    again = done.program.model_copy(update={"neighbours": index(done).model_copy(deep=True)})
    assert program_digest(again) == program_digest(done.program)
    fewer = index(done).model_copy(update={"rows": index(done).rows[1:]})
    other = done.program.model_copy(update={"neighbours": fewer})
    assert program_digest(other) != program_digest(done.program)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong, learner])
async def test_tiny_sets(monkeypatch: pytest.MonkeyPatch, n: int, reply: object) -> None:
    done = await step(monkeypatch, KNN, reply, train=rows(n), k=5, max_rounds=2)  # type: ignore[arg-type]
    assert len(index(done).rows) == n
    assert done.spent.calls <= done.promised.most


async def test_identical_rows_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    same = tuple(Example(i, {"text": "row 0 of g0"}, {"label": "L0"}) for i in range(4))
    done = await step(monkeypatch, KNN, oracle, train=same)
    assert len(index(done).rows) == 1
    assert done.script.calls == 1


async def test_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tuple(Example(i, {"text": f"row {i} of g0"}, {}) for i in range(3))
    done = await step(monkeypatch, KNN, wrong, train=bare, max_bootstrapped_demos=0)
    assert done.program == classifier()
    assert done.result.notes == ("no row has anything to show: there are no demos",)


async def test_a_threshold_of_zero_accepts_what_scores_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = exact(accept=Constant(value=True))
    done = await step(monkeypatch, KNN, wrong, metric=lenient, metric_threshold=0.0)
    assert all(row.bootstrapped for row in index(done).rows)
    strict = await step(monkeypatch, KNN, wrong, metric=lenient, metric_threshold=0.5)
    assert not any(row.bootstrapped for row in index(strict).rows)


async def test_at_the_wall_what_was_solved_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, KNN, oracle, budget=ir.Budget(calls=5), threads=1)
    assert isinstance(done.result.cut, BudgetExceeded)
    assert sum(bool(row.bootstrapped) for row in index(done).rows) == 5
    assert sum(bool(row.labelled) for row in index(done).rows) == 7
    with pytest.raises(BudgetExceeded):
        await step(monkeypatch, KNN, oracle, budget=ir.Budget(calls=0))


async def test_an_index_that_no_artifact_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn_few_shot, "MAX_BYTES", 200)
    with pytest.raises(OptimizerError, match="the index of 12 rows is too large"):
        await step(monkeypatch, KNN, oracle)
    monkeypatch.setattr(knn_few_shot, "MAX_ROWS", 11)
    with pytest.raises(OptimizerError, match="at most 11 rows, and `train` has 12"):
        await step(monkeypatch, KNN, oracle)


async def test_the_same_bytes_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    found: set[str] = set()
    for threads, seed in ((1, 0), (4, 1), (32, 2)):
        done = await step(
            monkeypatch, KNN, learner, student=pipeline(), threads=threads, latency=jitter(seed), max_rounds=2
        )
        found.add(artifact_text(Artifact(name="x", program=done.program)))
    assert len(found) == 1


async def test_an_index_is_scored_on_its_own_rows_one_left_out_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Labels are coin flips: only who sees a row's own label is right on it. So are those of an ensemble's members."""
    coins = tuple(Example(i, {"text": f"row {i} of g{i}"}, {"label": f"L{i}"}) for i in range(12))

    def copies(asked: Asked) -> Mapping[str, object]:
        """Gives the label of the demo that is about the very row, where there is one."""
        own = [given for shown, given in asked.demos if shown["text"] == asked.question["text"]]
        return {"label": own[0]["label"] if own else "none"}

    labels = await step(monkeypatch, KNN, copies, train=coins, k=3, max_bootstrapped_demos=0)
    with scripted(monkeypatch, Script(copies)) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        own = await evaluator.evaluate(labels.program, coins)
        again = await evaluator.evaluate(labels.program, coins)
        vote = Ensemble(
            name="vote",
            inputs=labels.program.inputs,
            outputs=labels.program.outputs,
            members=(labels.program, labels.program),
            reduce=Majority(field="label"),
        )
        voted = await evaluator.evaluate(vote, coins)
        new = await evaluator.evaluate(
            labels.program, (Example(0, {"text": "row 0 of g99"}, {"label": "L0"}),)
        )
    assert (own.score, again.score, voted.score, new.score) == (0.0, 0.0, 0.0, 0.0)
    assert evaluator.spent.calls == 13
