"""BetterTogether: optimizers in the order of a strategy, all results scored, the best one wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, gain, plan_of, project
from scripted import Asked, classifier, exact, group, jitter, learner, oracle, rows, wrong
from stepping import inner, step
from tuning_server import provider

from dspec.compiler import ir
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.optimizers.base import OptimizerError
from dspec.compiler.optimizers.training import service
from dspec.compiler.optimizers.training.hosted import HostedTrainer
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.expressions import Apply, Constant
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import JsonValue

BOTH = "BetterTogether"
TRAIN, VAL = rows(16, groups=5), rows(20, start=100, groups=5)


LABELS = inner("LabeledFewShot", k=3)
BOOTSTRAP = inner("BootstrapFewShot", max_labeled_demos=4)
SEARCH = inner(
    "BootstrapFewShotWithRandomSearch", num_candidate_programs=2, max_labeled_demos=4, search="full"
)
WEIGHTS = inner("BootstrapFinetune")


async def test_steps_run_in_written_order_each_from_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        BOTH,
        learner,
        train=TRAIN,
        val=VAL,
        nested={"b": BOOTSTRAP, "d": LABELS},
        strategy="d -> b",
    )
    assert sorted(done.labels) == ["as it came", "d", "d -> b"]
    scored = [label for label, _ in done.told]
    assert [label for label in scored if ":" not in label] == ["as it came", "d", "d -> b"]
    scores = [candidate.score for candidate in done.result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert done.program is done.result.candidates[0].program
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_ties_go_to_the_earlier_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for reply in (oracle, wrong):
        done = await step(
            monkeypatch, BOTH, reply, train=TRAIN, val=VAL, nested={"d": LABELS}, strategy="d->d"
        )
        assert done.labels == ["as it came", "d", "d -> d"]
        assert done.program == classifier()


async def test_a_searchs_winner_is_not_paid_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, BOTH, learner, train=TRAIN, val=VAL, nested={"p": SEARCH}, strategy="p -> p"
    )
    assert done.script.calls == done.spent.calls <= done.promised.most
    # Baseline, and two searches of six candidates, each of which starts from what is scored already.
    assert done.promised.task.most == 20 + 2 * 5 * 20


async def test_what_searches_inside_chose_from_counts_as_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = {"p": SEARCH, "d": LABELS}
    done = await step(monkeypatch, BOTH, learner, train=TRAIN, val=VAL, nested=nested, strategy="p -> d")
    known = {candidate.label: candidate.scores for candidate in done.result.candidates}
    assert len(done.result.rivals) >= 4 > len(known)
    assert {known["p"], known["p -> d"]} <= {*done.result.rivals}


async def test_the_rows_are_in_a_new_order_for_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    first = inner("LabeledFewShot", k=4, sample=False)

    async def orders(*, shuffle: bool, seed: int = 0) -> list[list[JsonValue]]:
        done = await step(
            monkeypatch,
            BOTH,
            oracle,
            train=TRAIN,
            val=VAL,
            seed=seed,
            nested={"a": first, "b": first},
            strategy="a -> b",
            shuffle_trainset_between_steps=shuffle,
        )
        found = {one.label: one.program for one in done.result.candidates}
        return [[d.inputs["text"] for d in one.predictors["ask"].demos] for one in list(found.values())[1:]]

    straight = await orders(shuffle=False)
    assert straight == [[row.inputs["text"] for row in TRAIN[:4]]]
    shuffled = await orders(shuffle=True)
    assert len(shuffled) == 2
    assert shuffled[0] != shuffled[1]
    assert straight[0] not in shuffled
    assert shuffled == await orders(shuffle=True)
    assert shuffled != await orders(shuffle=True, seed=1)


async def test_without_val_some_of_train_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        BOTH,
        learner,
        train=TRAIN,
        val_given=False,
        nested={"b": BOOTSTRAP},
        strategy="b",
        valset_ratio=0.25,
        max_labeled_demos=0,
    )
    assert done.result.scored_on == TRAIN[:4]
    assert all(len(candidate.scores) == 4 for candidate in done.result.candidates)
    winner = done.result.candidates[0].program
    texts = [row.inputs["text"] for row in TRAIN[:4]]
    assert not any(demo.inputs["text"] in texts for demo in winner.predictors["ask"].demos)
    assert done.spent.calls <= done.promised.most
    alone = await step(
        monkeypatch, BOTH, learner, train=rows(1), val_given=False, nested={"b": BOOTSTRAP}, strategy="b"
    )
    assert alone.result.scored_on == rows(1)


async def test_in_a_compile_without_val(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = ir.StepSpec(
        name="both",
        optimizer=BOTH,
        options={"strategy": "b"},
        nested={"b": ir.StepSpec(name="b", optimizer="BootstrapFewShot")},
    )
    made = project(tmp_path, both, val=None)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    planned = plan_of(made, "tuned", tmp_path)
    assert built.spent.calls <= planned.most
    record = built.artifact.provenance.steps[0]
    assert record.score is not None
    assert record.score.n == 2
    assert built.artifact.scores["train"].n == 20


async def test_a_chain_in_a_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = ir.StepSpec(
        name="both",
        optimizer=BOTH,
        options={"strategy": "d -> p"},
        nested={
            "d": ir.StepSpec(name="d", optimizer="LabeledFewShot", options={"k": 2}),
            "p": ir.StepSpec(
                name="p",
                optimizer="BootstrapFewShotWithRandomSearch",
                options={"num_candidate_programs": 2, "max_labeled_demos": 4},
                teacher="first",
            ),
        },
    )
    first = ir.StepSpec(name="first", optimizer="LabeledFewShot", options={"k": 8})
    best = ir.StepSpec(
        name="best",
        optimizer="Ensemble",
        members=(ir.MemberRef(program="both", candidates=True, top=2),),
    )
    made = project(tmp_path, first, both, best)
    texts: set[str] = set()
    for threads, seed in ((1, 0), (16, 1)):
        built, _, _ = await compiled(
            monkeypatch, tmp_path, made, learner, threads=threads, latency=jitter(seed)
        )
        texts.add(artifact_text(built.artifact))
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= built.spent.calls <= planned.most
        assert built.steps[1].spent.calls <= built.steps[1].planned.calls.most
    assert len(texts) == 1
    assert gain(built) > 0


async def test_at_the_wall_the_best_so_far_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        BOTH,
        learner,
        train=TRAIN,
        val=VAL,
        nested={"d": LABELS, "p": SEARCH},
        strategy="d -> p",
        budget=ir.Budget(calls=50),
    )
    assert isinstance(done.result.cut, BudgetExceeded)
    assert {"as it came", "d"} <= set(done.labels)
    assert done.script.calls == 50
    with pytest.raises(BudgetExceeded):
        await step(
            monkeypatch, BOTH, learner, val=VAL, nested={"d": LABELS}, strategy="d", budget=ir.Budget(calls=5)
        )


async def test_a_mistake_in_a_step_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = exact(accept=Apply(function="len", arguments=(Constant(value=1),)))
    with pytest.raises(MetricError):
        await step(
            monkeypatch,
            BOTH,
            oracle,
            train=TRAIN,
            val=VAL,
            metric=broken,
            nested={"b": BOOTSTRAP},
            strategy="b",
        )


# Weights ------------------------------------------------------------------------------------------


def better_when_tuned(asked: Asked) -> dict[str, str]:
    text = asked.question["text"]
    if asked.request.lm.model.startswith("openai/ft:"):
        return {"label": f"L{group(text)}"}
    return oracle(asked) if asked.request.lm.name == "knows" else learner(asked)


async def test_prompts_weights_prompts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default strategy, with a training at a provider on loopback: the weights win, and what is prompted after them asks
    the model that was tuned."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.setattr(service, "TRAINERS", {"hosted": HostedTrainer(every=0.01)})
    with provider() as server:
        fake = LM(name="fake", model="openai/gpt-4o-mini", api_base=server.url, api_key_env="OPENAI_API_KEY")
        knows = LM(name="knows", model="openai/gpt-4o")
        student = classifier().with_lms({"fake": fake})
        teacher = student.with_lms({"knows": knows})
        asks = teacher.predictors["ask"].model_copy(update={"lm": "knows"})
        teacher = teacher.model_copy(update={"predictors": {"ask": asks}})
        done = await step(
            monkeypatch,
            BOTH,
            better_when_tuned,
            student=student,
            teacher=teacher,
            train=TRAIN,
            val=VAL,
            nested={"p": LABELS, "w": WEIGHTS},
            training=service.Training(tmp_path, {}),
        )
    assert done.labels[0] == "p -> w"
    assert done.program.predictors["ask"].lm == "fake+tuned"
    assert done.program.lms["fake+tuned"].model == "openai/ft:gpt-4o-mini:org:dspec:ftjob-1"
    assert len(done.program.predictors["ask"].demos) == 3
    assert [one.job.rows for one in done.result.trained] == [16]
    assert {one.label for one in done.result.candidates} == {"as it came", "p", "p -> w", "p -> w -> p"}
    assert done.spent.calls <= done.promised.most


async def test_where_nothing_trains_a_weight_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptimizerError, match="nothing here can train a model's weights"):
        await step(monkeypatch, BOTH, oracle, nested={"p": LABELS, "w": WEIGHTS})
