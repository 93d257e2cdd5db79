"""KNNFewShot with a model's embeddings: made once at compile time, carried in the index, one more call a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from building import DEMOS, compiled, plan_of, project
from rich.console import Console
from scripted import FAKE, Reply, classifier, jitter, learner, oracle, pipeline, rows, wrong
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.cli.show import draw_runnable
from dspec.compiler.evaluate.store import lm_digest
from dspec.compiler.optimizers.base import OptimizerError
from dspec.runtime.artifact.artifact import (
    Artifact,
    artifact_text,
    parse_artifact,
    read_artifact,
    write_artifact,
)
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.program import LM, Demo, Program
from dspec.runtime.schema.types import JsonValue

KNN = "KNNFewShot"
EMBEDDER = LM(name="embedder", model="embedded/vectors")
BY_LM: JsonValue = {"lm": "embedder"}
NEAR = ir.StepSpec(name="near", optimizer=KNN, options={"k": 3, "vectorizer": BY_LM})


async def near(monkeypatch: pytest.MonkeyPatch, reply: Reply, **more: object) -> Stepped:
    return await step(monkeypatch, KNN, reply, lms=(EMBEDDER,), vectorizer=BY_LM, **more)  # type: ignore[arg-type]


async def test_the_rows_are_embedded_once_and_travel_in_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await near(monkeypatch, oracle)
    index = done.program.neighbours
    assert index is not None
    assert (index.vectorizer, index.lm) == ("lm", "embedder")
    assert done.program.lms["embedder"] == EMBEDDER
    assert all(len(row.vector) == 16 for row in index.rows)  # eleven numbers
    # Every row for the index; and, as a teacher's run needs its own, for its neighbours' labels.
    assert len(set(done.script.embedded)) == 12
    assert done.spent.teacher.calls == 12 + 12 * 2 == done.promised.teacher.most
    assert done.promised.teacher.least <= done.spent.teacher.calls
    artifact = Artifact(name="x", program=done.program)
    assert parse_artifact(artifact_text(artifact).encode()) == artifact


async def test_without_labels_to_show_the_teacher_needs_no_embeddings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await near(monkeypatch, oracle, max_labeled_demos=0)
    assert len(done.script.embedded) == 12
    assert done.spent.teacher.calls == 12 + 12 == done.promised.teacher.most == done.promised.teacher.least


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong, learner])
async def test_tiny_sets(monkeypatch: pytest.MonkeyPatch, n: int, reply: Reply) -> None:
    for options in ({"max_rounds": 2}, {"max_bootstrapped_demos": 0}):
        done = await near(monkeypatch, reply, train=rows(n), k=5, **options)
        assert done.spent.calls <= done.promised.most


async def test_the_likest_rows_are_shown_and_the_plan_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, NEAR, lms=(EMBEDDER,))
    texts: set[str] = set()
    for threads in (1, 16):
        built, script, tally = await compiled(
            monkeypatch, tmp_path, made, learner, threads=threads, latency=jitter(threads)
        )
        assert built.final is not None
        assert built.final.score == 1.0
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= built.spent.calls <= planned.most
        assert tally.calls <= planned.most
        # Baseline; each row's embedding and its teacher's run with its own; each scored row with its own.
        assert built.spent.calls == 20 + 20 + 40 + 40
        assert built.artifact.provenance.models["embedder"] == "embedded/vectors"
        assert len(set(script.embedded)) == 40
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1
    path = tmp_path / "near.dspc.json"
    write_artifact(path, built.artifact)
    assert read_artifact(path) == built.artifact
    assert len(texts.pop()) < 60_000


async def test_a_second_compile_pays_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, NEAR, lms=(EMBEDDER,))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        first, _, _ = await compiled(monkeypatch, tmp_path, made, learner, ledger=ledger)
        again, script, _ = await compiled(monkeypatch, tmp_path, made, learner, ledger=ledger)
    assert script.calls == len(script.embedded) == 0
    assert artifact_text(again.artifact) == artifact_text(first.artifact)


async def test_the_wall_counts_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BudgetExceeded):
        await near(monkeypatch, oracle, budget=ir.Budget(calls=5), threads=1)
    done = await near(monkeypatch, oracle, budget=ir.Budget(calls=17), threads=1, max_labeled_demos=0)
    assert isinstance(done.result.cut, BudgetExceeded)
    assert len(done.script.embedded) + done.script.calls == 17


async def test_in_chains_it_is_a_student_a_teacher_and_a_member(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vote = ir.StepSpec(
        name="vote",
        optimizer="Ensemble",
        members=(ir.MemberRef(program="near"), ir.MemberRef(program="demos")),
        options={"reduce": {"kind": "majority", "field": "label"}},
    )
    taught = DEMOS.model_copy(update={"student": "router", "teacher": "near"})
    for steps in ((NEAR, DEMOS), (NEAR, taught), (NEAR, taught, vote)):
        made = project(tmp_path, *steps, lms=(EMBEDDER,))
        built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= built.spent.calls <= planned.most
        assert parse_artifact(artifact_text(built.artifact).encode()) == built.artifact


async def test_on_a_teacher_lm_the_index_keeps_its_own_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    large = LM(name="large", model="embedded/large")
    taught = DEMOS.model_copy(update={"student": "router", "teacher": "near"})
    made = project(tmp_path, NEAR, taught, lms=(EMBEDDER, large), teacher_lm="large")
    built, script, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert built.status == "complete"
    assert {asked.request.lm.name for asked in script.asked} == {"fake", "large"}


async def test_embeddings_of_different_lengths_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import scripted

    def uneven(text: str) -> list[float]:
        return [1.0] * len(text)

    monkeypatch.setattr(scripted, "embedding", uneven)
    with pytest.raises(OptimizerError, match="`embedder` gave embeddings of different lengths"):
        await near(monkeypatch, oracle)


def test_the_model_that_compares_is_part_of_what_a_run_is_remembered_by() -> None:
    demo = Demo(inputs={"text": "a"}, outputs={"label": "b"})
    program = classifier().with_lms({"embedder": EMBEDDER})
    index: dict[str, object] = {
        "k": 1,
        "vectorizer": "lm",
        "lm": "embedder",
        "max_bootstrapped_demos": 0,
        "max_labeled_demos": 1,
        "rows": [{"text": "a", "vector": "AQ==", "labelled": {"ask": demo.model_dump()}}],
    }
    found = Program.model_validate({**program.model_dump(), "neighbours": index})
    other = found.with_lms({"embedder": EMBEDDER.model_copy(update={"model": "openai/embed-2"})})
    assert lm_digest(found) != lm_digest(other)
    assert lm_digest(program) == lm_digest(classifier().with_lms({"unused": FAKE}))
    assert calls_per_run(pipeline()) == 2
    assert calls_per_run(found) == 2


async def test_show_says_which_model_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await near(monkeypatch, oracle)
    page = io.StringIO()
    draw_runnable(Console(file=page, width=200), done.program)
    assert (
        "the demos of the 3 nearest of 12 rows by embeddings of embedded/vectors, such as" in page.getvalue()
    )
