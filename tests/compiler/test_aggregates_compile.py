"""Metrics that are made of all rows in a compile: every optimizer maximizes the number, and says so."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from building import DEMOS, compiled, evaluated, gain, loaded_again, plan_of, project
from dspc import dspc
from every_step import CASES, GEPA, Case, improves, step, uneven, writes_by_question
from judging import HEAD, agrees, judged_by, metric
from scripted import Asked, Script, classifier, group, jitter, learner, rows, scripted

from dspec.compiler import ir
from dspec.compiler.cli.results import evals_json
from dspec.compiler.data import Example
from dspec.compiler.evaluate.digests import metric_digest
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.gathering import Told
from dspec.compiler.evaluate.outcomes import Evaluation, RowResult
from dspec.compiler.evaluate.scoring import score_row
from dspec.compiler.evaluate.shares import labels_of, overall, shares_of
from dspec.compiler.evaluate.store import Store
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context
from dspec.compiler.search import Arm, Board, Listed, Racing
from dspec.compiler.search.board import open_board
from dspec.compiler.search.racing import worse
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.errors import Refused
from dspec.runtime.schema.expressions import BinaryOp, Constant, Variable
from dspec.runtime.schema.program import Program

MACRO = metric("= macro_f1(gold.label, pred.label)")
MIXED = metric(
    "{ score = 0.6 * macro_f1(gold.label, pred.label) + 0.4 * percentile(gold.label == pred.label, 40); accept = score == 1 }"
)
WIDE = {
    **CASES,
    "GEPA": GEPA,
    "SIMBA, demos": Case(step("SIMBA", max_steps=2, num_candidates=3, bsize=10)),
}


def mixed(asked: Asked) -> dict[str, object]:
    """Demos help, instructions help, and runs at a temperature differ: something to choose at every turn."""
    known = learner(asked)
    if known.get("label") != "L?":
        return dict(known)
    return {**(uneven if asked.request.temperature else improves)(asked)}


def measured(made: ir.Project, by: ir.Metric) -> ir.Project:
    return made.model_copy(update={"metrics": {"right": by}})


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WIDE))
async def test_every_optimizer_takes_one_and_gives_the_same_bytes_at_any_width(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    plain = project(tmp_path, WIDE[name].step)
    made = measured(plain, MIXED)
    planned = plan_of(made, "tuned", tmp_path)
    assert planned == plan_of(plain, "tuned", tmp_path)
    artifacts: set[str] = set()
    for threads in (1, 64):
        built, _, _ = await compiled(
            monkeypatch,
            tmp_path,
            made,
            writes_by_question(mixed),
            threads=threads,
            latency=jitter(threads, 0.002),
        )
        artifacts.add(artifact_text(built.artifact))
        assert built.status == "complete"
        assert planned.least <= built.spent.calls <= planned.most
        assert built.final is not None
        assert built.artifact.scores["val"].aggregates == ("macro_f1", "percentile")
        assert built.artifact.scores["val"].score == round(overall(built.final.scores), 6)
        assert gain(built) >= 0
        for candidate in built.steps[0].result.candidates:
            assert shares_of(candidate.scores) == list(candidate.scores)
            assert candidate.score == overall(candidate.scores)
    assert len(artifacts) == 1
    await loaded_again(monkeypatch, tmp_path, made, built, writes_by_question(mixed))


# A task whose labels are uneven ------------------------------------------------------------------------


def uneven_rows(folder: Path, made: ir.Project, part: int) -> ir.Project:
    """Four of five rows have one label."""
    found = [{"text": f"row {i} of g{i % 5}", "label": "often" if i % 5 else "rare"} for i in range(3 * part)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, found)))
    return made


def two_kinds(asked: Asked) -> Mapping[str, object]:
    """One instruction answers nearly always as most rows want it; the other finds the rare rows, at the cost of some others."""
    if "label" not in asked.wanted:
        odd = asked.request.sample % 2
        return dict.fromkeys(asked.wanted, f"Kind {odd} {hash_of(asked) % 1000}.")
    said = str(asked.request.messages[0])
    place, rare = int(asked.question["text"].split()[1]), group(asked.question["text"]) == "0"
    if "Kind 1" in said:
        return {"label": "rare" if rare or place % 7 in (1, 3, 5) else "often"}
    if "Kind 0" in said:
        return {"label": "often"}
    return {"label": "rare" if not rare and place % 3 else "often"}


def hash_of(asked: Asked) -> int:
    return stream(0, repr(asked.request.messages)).getrandbits(32)


@pytest.mark.parametrize("search", ["racing", "full"])
async def test_the_number_that_is_maximized_decides_which_program_is_best(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, search: str
) -> None:
    words = step("COPRO", breadth=6, depth=1, search=search)
    plain = uneven_rows(tmp_path, project(tmp_path, words, part=60), 60)
    instructions: dict[str, str] = {}
    for name, by in {
        "accuracy": None,
        "macro": MACRO,
        "worst": metric("= worst_label(gold.label, pred.label)"),
    }.items():
        made = plain if by is None else measured(plain, by)
        built, _, _ = await compiled(monkeypatch, tmp_path, made, two_kinds)
        instructions[name] = built.artifact.program.model_dump_json()
    assert "Kind 0" in instructions["accuracy"]
    assert "Kind 1" in instructions["macro"]
    assert "Kind 1" in instructions["worst"]


# Races ---------------------------------------------------------------------------------------------------

SIMS = 150 if os.environ.get("DSPEC_DEEP") else 40


class Answers:
    """Stands in for the evaluator: what each program answers on each row is known."""

    def __init__(self, shares: Mapping[str, Sequence[float]]) -> None:
        self._shares = shares

    async def evaluate(
        self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
    ) -> Evaluation:
        own = self._shares[program.predictors["ask"].signature.instruction]
        return Evaluation(tuple(RowResult(row.index, own[row.index], {}) for row in rows))


def arm(name: str) -> Arm:
    return Arm(name, classifier().with_predictor("ask", instruction=name))


async def opened(shares: Mapping[str, Sequence[float]], n: int, seed: int) -> Board:
    context = Context(
        evaluator=cast("Evaluator", Answers(shares)),
        train=rows(1),
        val=rows(n),
        teacher=None,
        rng=lambda name: stream(seed, name),
        progress=lambda label, score: None,
    )
    return await open_board(context, arm("start"), context.rng("order"))


def answered(draws: random.Random, golds: Sequence[str], right: Mapping[str, float]) -> list[float]:
    found = [
        gold if draws.random() < right[gold] else draws.choice("pqrs".replace(gold, "")) for gold in golds
    ]
    return [
        score_row(MACRO, {"label": gold}, {"label": pred}, 0).score
        for gold, pred in zip(golds, found, strict=True)
    ]


def imbalanced(draws: random.Random, n: int, arms: int) -> dict[str, list[float]]:
    """A start and arms of every quality on rows of which a twentieth has the rarest label; `a0` is truly the best."""
    golds = draws.choices("pqrs", [70, 15, 10, 5], k=n)
    # The usual label is easy for all of them; what tells them apart is what they make of the others.
    shares = {"start": answered(draws, golds, {"p": 0.9, "q": 0.6, "r": 0.5, "s": 0.4})}
    for number in range(arms):
        less = 0.06 * number
        shares[f"a{number}"] = answered(
            draws, golds, {"p": 0.92, "q": 0.85 - less, "r": 0.8 - less, "s": 0.75 - less}
        )
    return shares


async def test_a_race_seldom_drops_the_truly_best_for_being_worse() -> None:
    draws, dropped, arms = random.Random(4), 0, [arm(f"a{number}") for number in range(8)]
    for seed in range(SIMS):
        found = await opened(imbalanced(draws, 160, 8), 160, seed)
        gone = False
        for look in (10, 20, 40, 80):
            await found.extend(arms, look)
            leader = max([found.incumbent, *arms], key=lambda one: found.mean(one))
            level = 1 - 0.05 / (len(arms) * 4)
            gone |= worse(found.scores(arms[0]), found.scores(leader)[:look], level, found.weights(look))
        dropped += gone
    assert dropped <= 0.05 * SIMS


@pytest.mark.slow
async def test_a_race_finds_what_looking_at_all_rows_finds() -> None:
    """Rows in turn by label: a few of the rare ones are among the first."""
    draws, lost = random.Random(6), 0.0
    race = Racing.within(4 * 160, 8, 160)
    for seed in range(SIMS):
        shares = imbalanced(draws, 160, 8)
        found = await opened(shares, 160, seed)
        await race.run(found, Listed([arm(f"a{number}") for number in range(8)]), 8)
        best = max(found.candidates(), key=lambda one: one.score)
        lost += max(map(overall, shares.values())) - best.score
    assert lost / SIMS <= 0.03


async def test_the_first_rows_hold_every_label_and_stand_for_all_rows() -> None:
    draws, looks = random.Random(9), 24
    off, plain = 0.0, 0.0
    for seed in range(SIMS):
        shares = imbalanced(draws, 200, 1)
        found = await opened(shares, 200, seed)
        await found.extend([arm("a0")], looks)
        own = found.scores(arm("a0"))
        counts = Counter(labels_of(score) for score in own)
        every = Counter(labels_of(score) for score in shares["a0"])
        assert all(counts[label] >= min(5, every[label]) for label in every)
        weights = found.weights(looks)
        assert weights is not None
        assert sum(weights) == pytest.approx(200)
        truth = overall(shares["a0"])
        off += abs(found.mean(arm("a0")) - truth)
        plain += abs(overall(draws.sample(shares["a0"], looks)) - truth)
    assert off < plain


async def test_a_search_ends_where_nothing_is_left_to_gain() -> None:
    half = metric("= percentile(gold.label == pred.label, 50)")
    golds = ["p"] * 40
    right, most = (
        [
            score_row(half, {"label": "p"}, {"label": pred}, 0).score
            for pred in ("p" * wrongs + "q" * (40 - wrongs))
        ]
        for wrongs in (40, 30)
    )
    low = [score_row(half, {"label": "p"}, {"label": "q"}, 0).score for _ in golds]
    found = await opened({"start": most}, 40, 1)
    assert found.settled  # a quarter is wrong, and the median right all the same
    assert not (await opened({"start": low}, 40, 1)).settled
    searched = await opened({"start": low, "a0": right, "a1": low}, 40, 1)
    await searched.extend([arm("a1")], 15)
    assert searched.may_win(arm("a1"))
    await searched.extend([arm("a1")], 30)
    assert not searched.may_win(arm("a1"))


# Rows without a score ------------------------------------------------------------------------------------


async def test_rows_that_are_not_answered_count_as_wrong_ones_of_their_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(asked: Asked) -> Mapping[str, object] | str | Exception:
        # Asked again, the question is what was wrong.
        number = int(asked.question["text"].split()[1]) if "text" in asked.question else 1
        if number == 0:
            return Refused("gone")
        if number == 1:
            return "[[ ## label ## ]]\nL1\n\n[[ ## label ## ]]\nL2"
        return {"label": f"L{group(asked.question['text'])}"}

    with scripted(monkeypatch, Script(reply)) as engine:
        evaluator = Evaluator(engine, Store(), MACRO, on_error="score_zero")
        found = await evaluator.evaluate(classifier(), rows(12))
    assert [row.score for row in found.rows] == [0.0, 0.0, *[1.0] * 10]
    assert (found.unanswered, found.failures) == (1, 2)
    # Of four rows with each of three labels, one of L0 and one of L1 are missing: F1 is 2 · 3 / (4 + 3).
    assert found.score == pytest.approx((6 / 7 + 6 / 7 + 1) / 3)


async def test_a_metric_that_fails_on_a_row_scores_it_as_one_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = HEAD.replace("field label: str", "field label: str; field parts: list[str]")
    made = metric("= 0.5 * macro_f1(gold.label, pred.label) + 0.5 * mean(1 / len(gold.parts))", head)
    data = tuple(
        Example(i, {"text": f"row {i} of g0"}, {"label": "L0", "parts": ["one"] if i else []})
        for i in range(4)
    )
    with scripted(monkeypatch, Script(lambda asked: {"label": "L0"})) as engine:
        evaluator = Evaluator(engine, Store(), made, on_error="score_zero")
        found = await evaluator.evaluate(classifier(), data)
    assert found.metric_failures == 1
    assert found.score == pytest.approx(0.5 * 6 / 7 + 0.5 * 3 / 4)


# Judges, evals, and what is shown --------------------------------------------------------------------------


async def test_a_judge_may_mark_what_an_aggregate_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    judged = metric(
        "{ score = mean(semantic_f1(gold.label, pred.label, judge = strict)); accept = score > 0.5 }"
    )
    made = measured(project(tmp_path, DEMOS), judged)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, judged_by(agrees, learner))
    assert built.baseline is not None
    assert built.final is not None
    assert built.baseline.score < built.final.score
    assert 0 < built.spent.judge.calls <= built.plan.most


async def test_an_eval_compares_and_gates_the_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = measured(project(tmp_path), MACRO)
    gate = ir.EvalGate(
        text="score >= 0.4",
        condition=BinaryOp(operator=">=", left=Variable(name="score"), right=Constant(value=0.4)),
    )
    block = ir.Eval(
        name="e", program="router", baseline="router", metric="right",
        data=ir.RowsRef(dataset="tickets", part="test"), gates=(gate,),
    )  # fmt: skip
    with scripted(monkeypatch, Script(learner)) as engine:
        result = await evaluated(
            made.model_copy(update={"evals": {"e": block}}), "e", tmp_path, engine=engine, store=Store()
        )
    assert result.score.score == round(overall(result.program.scores), 6)
    assert result.score.low < result.score.score < result.score.high
    assert result.passed is (result.program.score >= 0.4)
    assert result.comparison is not None
    assert (result.comparison.difference, result.comparison.p_value) == (0.0, 1.0)
    shown = json.loads(evals_json([result]))["evals"][0]
    assert shown["aggregates"] == ["macro_f1"]
    assert {row["score"] for row in shown["rows"]} <= {0.0, 1.0}


def test_a_metric_that_is_not_made_of_all_rows_is_written_as_before() -> None:
    plain = metric("= gold.label == pred.label")
    assert "aggregates" not in plain.model_dump(mode="json")
    assert metric_digest(plain) != metric_digest(MACRO) != metric_digest(MIXED)


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").touch()
    found = (
        f"message {n} about {'dogs' if n % 6 else 'cats'},{'dog' if n % 6 else 'cat'}\n" for n in range(72)
    )
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(found))
    (tmp_path / "main.dspec").write_text(
        """dspec 1
lm learner { model = "embedded/icl" }
type L = "cat" | "dog"
module f = Predict(sig(text -> label: L))
dataset d { source = csv("d.csv"); input text: str; field label: L; split { train = 30; val = 30; test = 12 } }
metric even(gold: d, pred: f) = balanced_accuracy(gold.label, pred.label)
optimize best { program = f; metric = even; train = d.train; val = d.val
  step a = BootstrapFewShot() }
eval held { program = best; baseline = f; metric = even; data = d.test; gate score >= 0.5 }
"""
    )
    done = dspc("compile", "main.dspec", cwd=tmp_path)
    assert done.code == 0, done.text
    assert "eval held (balanced_accuracy)" in done.out
    shown = dspc("show", "compiled/best.dspc.json", cwd=tmp_path)
    assert "even (balanced_accuracy) on val" in shown.out
    again = dspc("compile", "main.dspec", "--json", cwd=tmp_path)
    assert json.loads(again.out)["compiled"][0]["final"]["aggregates"] == ["balanced_accuracy"]
