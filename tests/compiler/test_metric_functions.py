"""Functions of the project in metrics: called lazily, within their limits, remembered, and never a low score in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, loaded_again, plan_of, project
from every_step import CASES, GEPA, writes_by_question
from judging import HEAD
from scripted import FAKE, Script, classifier, jitter, learner, oracle, rows, scripted

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.built import Built
from dspec.compiler.evaluate.evaluation import Evaluation, Evaluator
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import Store
from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import Artifact, artifact_text, write_artifact
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.tools.toolbox import Toolbox

MARKS = """\
from pathlib import Path

def _called(name):
    with open(Path(__file__).with_name(name + ".calls"), "a") as calls:
        calls.write("x")

def same(gold: str, pred: str) -> float:
    _called("same")
    return 1.0 if gold == pred else 0.25

def score(gold: dict, pred: dict) -> dict:
    _called("score")
    right = gold["label"] == pred["label"]
    return {"score": right, "feedback": f"{pred['label']} for {gold['label']}"}

def pair(gold, pred): return gold["label"] == pred["label"], "a pair"
def bare(gold, pred): return 0.5
def many(gold, pred): return 2
def text(gold, pred): return {"score": 1, "why": "no such key"}
def breaks(gold, pred): raise KeyError(gold["label"])
def near(words: list[str]) -> list[str]: return words[:2]
def marks(label: str) -> dict: return {"score": 0.5, "why": "so " + label}
def last(gold: str, pred: str) -> float: return 1.0 if gold == pred else 0.0
"""
EXTERNS = """\
extern same(gold: str, pred: str) -> float { source = python("marks:same"); pure = true }
extern marks(label: str) -> (score: float, why: str) = python("marks:marks")
"""


def checked(folder: Path, body: str, before: str = EXTERNS) -> ir.Project:
    (folder / "marks.py").write_text(MARKS, encoding="utf-8")
    text = f"{HEAD}{before}metric right(gold: tickets, pred: router) {body}\n"
    analysis = analyse(folder / "main.dspec", text=text, probe=False)
    assert analysis.project is not None, [found.message for found in analysis.diagnostics]
    return analysis.project


def calls(folder: Path, name: str) -> int:
    path = folder / f"{name}.calls"
    return len(path.read_text()) if path.exists() else 0


async def scored(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    body: str,
    count: int = 3,
    on_error: ir.OnError = "score_zero",
    reply: object = oracle,
    store: Store | None = None,
    before: str = EXTERNS,
) -> Evaluation:
    made = checked(folder, body, before)
    async with Toolbox(folder, declared=made.externs.values(), isolated=True) as tools:
        with scripted(monkeypatch, Script(reply), tools=tools) as engine:  # type: ignore[arg-type]
            evaluator = Evaluator(engine, store or Store(), made.metrics["right"], on_error=on_error)
            return await evaluator.evaluate(classifier(), rows(count))


@pytest.mark.parametrize(
    ("name", "score", "feedback"),
    [("score", 1.0, "L0 for L0"), ("pair", 1.0, "a pair"), ("bare", 0.5, "")],
)
async def test_a_metric_is_a_function(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, score: float, feedback: str
) -> None:
    row = (await scored(monkeypatch, tmp_path, f'= python("marks:{name}")', 1)).rows[0]
    assert (row.score, row.feedback) == (score, feedback)


async def test_its_feedback_and_accept_may_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = '{ score = python("marks:score"); accept = score > 0.5; feedback = "it said " + reason }'
    row = (await scored(monkeypatch, tmp_path, body, 1)).rows[0]
    assert row.feedback == "it said L0 for L0"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("many", "has no score for row 1: its function gave 2"),
        ("text", 'has no score for row 1: its function gave {"score": 1, "why": "no such key"}'),
        ("breaks", "has no score for row 1: the tool `right` failed: KeyError: 'L0'"),
    ],
)
async def test_a_function_that_fails_is_a_failed_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, said: str
) -> None:
    store = Store()
    evaluation = await scored(monkeypatch, tmp_path, f'= python("marks:{name}")', 3, store=store)
    assert [row.metric_failed for row in evaluation.rows] == [True] * 3
    assert said in (evaluation.rows[0].reason or "")
    with pytest.raises(MetricError, match=r"metric `right` \(main.dspec:\d+\) has no score for row 1"):
        await scored(monkeypatch, tmp_path, f'= python("marks:{name}")', 3, "stop")


async def test_what_failed_is_asked_again_and_what_did_not_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body, store = '= python("marks:score")', Store()
    first = await scored(monkeypatch, tmp_path, body, 4, store=store)
    asked = calls(tmp_path, "score")
    again = await scored(monkeypatch, tmp_path, body, 4, store=store)
    assert (first.scores, calls(tmp_path, "score")) == (again.scores, asked)
    assert asked == 4


async def test_an_extern_is_called_where_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "{ let exact = gold.label == pred.label; score = if exact then 1.0 else same(gold.label, pred.label); accept = exact }"
    evaluation = await scored(monkeypatch, tmp_path, body, 3)
    assert evaluation.scores == (1.0, 1.0, 1.0)
    assert calls(tmp_path, "same") == 0
    body = "{ score = same(gold.label, pred.label) * same(gold = gold.label, pred = pred.label); accept = score > 0.5 }"
    wrong = await scored(monkeypatch, tmp_path, body, 2, reply=lambda asked: {"label": "L1"})
    assert wrong.scores == (0.0625, 1.0)
    assert calls(tmp_path, "same") == 2


async def test_an_extern_of_several_outputs_and_one_in_another_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = (
        EXTERNS + "metric kind(gold: tickets, pred: router) { let m = marks(pred.label); score = m.score }\n"
    )
    body = "{ let m = marks(gold.label); score = 0.5 * kind(gold, pred) + m.score; feedback = m.why; accept = true }"
    row = (await scored(monkeypatch, tmp_path, body, 1, before=before)).rows[0]
    assert (row.score, row.feedback) == (0.75, "so L0")


async def test_an_extern_for_each_item(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = (
        '{ score = mean([same(gold.label, word) for word in first([pred.label, "x", pred.label, "y"], 3)])'
        "; accept = true }"
    )
    evaluation = await scored(monkeypatch, tmp_path, body, 1)
    assert evaluation.scores == ((1.0 + 0.25 + 1.0) / 3,)
    assert calls(tmp_path, "same") == 2, "equal questions are one call"
    (judge,) = checked(tmp_path, body).metrics["right"].judges
    assert judge.times == 3


async def tuned(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    body: str,
    step: ir.StepSpec,
    threads: int,
    ledger: Ledger | None = None,
) -> Built:
    made = checked(folder, body)
    made = project(folder, step).model_copy(update={"metrics": made.metrics, "externs": made.externs})
    planned = plan_of(made, "tuned", folder)
    assert any("the metric's function `" in note for note in planned.notes)
    async with Toolbox(folder, declared=made.externs.values(), isolated=True, ledger=ledger) as tools:
        built, script, _ = await compiled(
            monkeypatch,
            folder,
            made,
            writes_by_question(learner),
            threads=threads,
            latency=jitter(threads, 0.0005),
            tools=tools,
            ledger=ledger,
        )
        assert built.status == "complete"
        assert planned.least <= built.spent.calls <= planned.most
        assert (len(script.asked), built.spent.judge.calls) == (built.spent.calls, 0) or ledger is not None
        if threads == 1:
            await loaded_again(monkeypatch, folder, made, built, writes_by_question(learner), tools)
    return built


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BootstrapFewShot", "MIPROv2", "GEPA"])
async def test_a_compile_by_a_python_metric_is_the_same_at_any_width(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    body = '{ score = python("marks:score"); accept = score > 0.5 }'
    step = {**CASES, "GEPA": GEPA}[name].step
    texts = {
        artifact_text((await tuned(monkeypatch, tmp_path, body, step, threads)).artifact)
        for threads in (1, 16)
    }
    assert len(texts) == 1


async def test_a_pure_extern_is_kept_in_the_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "{ score = same(gold.label, pred.label); accept = score > 0.5 }"
    step = CASES["BootstrapFewShot"].step
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        built = await tuned(monkeypatch, tmp_path, body, step, 16, ledger)
        asked = calls(tmp_path, "same")
        again = await tuned(monkeypatch, tmp_path, body, step, 16, ledger)
    assert 0 < asked == calls(tmp_path, "same")
    assert again.artifact == built.artifact


REWARD = """\
extern marks(label: str) -> (score: float, why: str) = python("marks:marks")
metric brief(pred: router) { let m = marks(pred.label); score = m.score; feedback = m.why }
module best = BestOfN(router, n = 2, threshold = 0.9, reward = brief)
"""


@pytest.fixture
def with_reward(tmp_path: Path) -> Path:
    (tmp_path / "marks.py").write_text(MARKS, encoding="utf-8")
    analysis = analyse(tmp_path / "main.dspec", text=HEAD + REWARD, probe=False)
    assert analysis.project is not None, [found.message for found in analysis.diagnostics]
    program = analysis.project.programs["best"].with_lms({"fake": FAKE})
    path = tmp_path / "best.dspc.json"
    write_artifact(path, Artifact(kind="program", name="best", program=program))
    return path


def test_an_artifact_carries_the_extern_of_a_reward(
    with_reward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="the tool `marks` is the Python function"):
        load(with_reward)
    told: list[str] = []

    def marks(label: str) -> dict[str, object]:
        told.append(label)
        return {"score": 0.95, "why": ""}

    with scripted(monkeypatch, Script(oracle)), load(with_reward, tools={"marks": marks}) as program:
        assert program(text="row 1 of g1").label == "L1"
    assert told == ["L1"]
