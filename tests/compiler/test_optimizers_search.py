"""The searches: which candidates there are, what is asked for them, and which one wins."""

from __future__ import annotations

import pytest
from scripted import Asked, classifier, group, jitter, knowing, learner, oracle, pipeline, rows, wrong
from stepping import step

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.optimizers.base import Options
from dspec.compiler.optimizers.random_search import COMPOSED, SHARE, SPEC
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded, Refused
from dspec.runtime.schema.types import JsonValue

SEARCH, OPTUNA = "BootstrapFewShotWithRandomSearch", "BootstrapFewShotWithOptuna"
TRAIN, VAL = rows(16, groups=5), rows(20, start=100, groups=5)


async def test_every_kind_of_candidate_is_scored_and_the_best_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        SEARCH,
        learner,
        train=TRAIN,
        val=VAL,
        num_candidate_programs=4,
        max_labeled_demos=3,
        search="full",
    )
    # Without demos of its own the student is the zero-shot candidate: scored once, listed once.
    assert sorted(done.labels) == [
        "as it came",
        "labels only",
        "shuffled 0",
        "shuffled 1",
        "shuffled 2",
        "shuffled 3",
        "unshuffled",
    ]
    scores = [candidate.score for candidate in done.result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert done.program is done.result.candidates[0].program
    assert scores[0] >= 0.7
    assert dict(done.told)["as it came"] == dict(done.told)["zero-shot"] == 0.25
    assert done.promised.least <= done.spent.calls <= done.promised.most
    assert done.script.calls == done.spent.calls
    assert done.result.notes == ("1 of 8 candidates came out like an earlier one",)


async def test_a_race_finds_as_good_a_set_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, JsonValue] = {"num_candidate_programs": 8, "max_labeled_demos": 3}
    val = rows(100, start=100, groups=5)
    raced, full = [
        await step(monkeypatch, SEARCH, learner, train=TRAIN, val=val, search=search, **options)
        for search in ("racing", "full")
    ]
    assert raced.spent.task.calls <= 100 + SHARE * 11 * 100 < full.spent.task.calls / 1.5
    assert raced.result.candidates[0].score >= full.result.candidates[0].score
    assert raced.result.candidates[0].program is raced.program
    assert {len(candidate.scores) for candidate in raced.result.candidates} == {100}
    made = len(full.result.candidates)
    assert made <= len(raced.result.rivals) < made + COMPOSED
    assert raced.result.notes == full.result.notes
    assert raced.spent.calls <= raced.promised.most


async def test_at_the_wall_a_race_leaves_what_it_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        SEARCH,
        learner,
        train=TRAIN,
        val=VAL,
        max_labeled_demos=3,
        budget=ir.Budget(calls=40),
        threads=4,
    )
    assert isinstance(done.result.cut, BudgetExceeded)
    assert done.program == classifier()
    assert done.labels == ["as it came"]
    assert done.script.calls == 40


async def test_what_it_starts_from_is_kept_when_nothing_beats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    student = knowing(0, 1, 2, 3, 4)
    done = await step(
        monkeypatch,
        SEARCH,
        learner,
        student=student,
        train=TRAIN,
        val=VAL,
        num_candidate_programs=3,
        max_labeled_demos=4,
    )
    assert done.program is student
    assert done.labels[0] == "as it came"
    assert done.result.candidates[0].score == 1.0


async def test_ties_go_to_the_candidate_proposed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for reply in (oracle, wrong):
        student = knowing(7)
        done = await step(
            monkeypatch, SEARCH, reply, student=student, num_candidate_programs=2, search="full"
        )
        assert done.program is student
        assert done.labels == [
            "as it came",
            "zero-shot",
            "labels only",
            "unshuffled",
            "shuffled 0",
            "shuffled 1",
        ]


@pytest.mark.parametrize(
    ("restrict", "expected"),
    [
        ([-3], {"as it came", "zero-shot"}),
        ([-2], {"as it came", "labels only"}),
        ([-1, 2], {"as it came", "unshuffled", "shuffled 2"}),
        ([0, 99], {"as it came", "shuffled 0"}),
    ],
)
async def test_restrict_names_candidates_by_dspys_numbers(
    monkeypatch: pytest.MonkeyPatch, restrict: JsonValue, expected: set[str]
) -> None:
    done = await step(
        monkeypatch,
        SEARCH,
        learner,
        student=knowing(7),
        train=TRAIN,
        val=VAL,
        restrict=restrict,
        num_candidate_programs=3,
        max_labeled_demos=3,
        search="full",
    )
    assert set(done.labels) == expected
    assert done.promised.least <= done.spent.calls <= done.promised.most


def test_a_restriction_that_leaves_nothing_is_a_contradiction() -> None:
    (conflict,) = SPEC.conflicts
    said = conflict.found(Options(SPEC, {"restrict": [5], "num_candidate_programs": 4}))
    assert said == "`restrict` leaves no candidate: there are -3 to 3"
    assert conflict.found(Options(SPEC, {})) is None


async def test_a_shuffled_set_is_the_same_whatever_else_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, among = [
        await step(
            monkeypatch,
            SEARCH,
            learner,
            train=TRAIN,
            val=VAL,
            max_labeled_demos=3,
            num_candidate_programs=5,
            restrict=restrict,
            search="full",
            latency=jitter(3),
        )
        for restrict in ([2], None)
    ]
    programs = [
        {candidate.label: candidate.program for candidate in done.result.candidates}
        for done in (alone, among)
    ]
    assert programs[0]["shuffled 2"] == programs[1]["shuffled 2"]


async def test_it_stops_at_the_first_candidate_that_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, SEARCH, oracle, val=VAL, train=TRAIN, stop_at_score=1.0)
    assert done.labels == ["as it came"]
    assert done.script.calls == done.promised.least == 20
    assert done.result.notes == ("stopped at `as it came`: it reached 1",)
    never = await step(
        monkeypatch,
        SEARCH,
        wrong,
        val=VAL,
        train=TRAIN,
        stop_at_score=0.5,
        num_candidate_programs=1,
        max_labeled_demos=2,
    )
    assert never.labels == ["as it came", "labels only", "unshuffled", "shuffled 0"]
    zero = await step(monkeypatch, SEARCH, wrong, val=VAL, train=TRAIN, stop_at_score=0.0)
    assert zero.labels == ["as it came"]


async def test_labels_only_takes_the_first_rows_when_told_not_to_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(
        monkeypatch, SEARCH, learner, restrict=[-2], labeled_sample=False, max_labeled_demos=2, train=TRAIN
    )
    found = {candidate.label: candidate.program for candidate in done.result.candidates}["labels only"]
    assert [demo.inputs["text"] for demo in found.predictors["ask"].demos] == ["row 0 of g0", "row 1 of g1"]


@pytest.mark.parametrize("optimizer", [SEARCH, OPTUNA])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong, learner])
async def test_tiny_sets_without_val(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, n: int, reply: object
) -> None:
    done = await step(monkeypatch, optimizer, reply, train=rows(n), num_candidate_programs=3)  # type: ignore[arg-type]
    assert done.result.candidates[0].program is done.program
    assert len(done.result.candidates[0].scores) == n
    assert done.spent.calls <= done.promised.most


@pytest.mark.parametrize("optimizer", [SEARCH, OPTUNA])
async def test_identical_rows_no_labels_and_no_demos_leave_one_candidate(
    monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    same = tuple(Example(i, {"text": "row 0 of g0"}, {}) for i in range(4))
    done = await step(
        monkeypatch,
        optimizer,
        oracle,
        train=same,
        val=VAL,
        max_bootstrapped_demos=0,
        num_candidate_programs=3,
    )
    assert done.labels == ["as it came"]
    assert done.script.calls == 20


@pytest.mark.parametrize("optimizer", [SEARCH, OPTUNA])
async def test_the_same_bytes_at_any_width_and_with_answers_in_any_order(
    monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    found: set[tuple[object, ...]] = set()
    for threads, seed in ((1, 0), (4, 1), (32, 2), (32, 3)):
        done = await step(
            monkeypatch,
            optimizer,
            learner,
            student=pipeline(),
            train=TRAIN,
            val=VAL,
            seed=5,
            threads=threads,
            latency=jitter(seed),
            num_candidate_programs=5,
            max_labeled_demos=4,
            max_rounds=2,
        )
        found.add(
            (
                artifact_text(Artifact(name="x", program=done.program)),
                tuple((one.label, program_digest(one.program), one.scores) for one in done.result.candidates),
                done.result.notes,
                done.spent.calls,
                done.spent.total.input_tokens,
            )
        )
    assert len(found) == 1


async def test_seeds_matter_zero_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {
        tuple(
            sorted(
                program_digest(one.program)
                for one in (
                    await step(
                        monkeypatch,
                        SEARCH,
                        learner,
                        train=TRAIN,
                        val=VAL[:5],
                        seed=seed,
                        num_candidate_programs=3,
                        max_labeled_demos=3,
                    )
                ).result.candidates
            )
        )
        for seed in (0, 0, 1, 9)
    }
    assert len(digests) == 3


async def test_at_the_wall_the_first_candidates_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        SEARCH,
        learner,
        student=knowing(0),
        train=TRAIN,
        val=VAL,
        num_candidate_programs=6,
        max_labeled_demos=3,
        search="full",
        budget=ir.Budget(calls=75),
        latency=jitter(1),
        threads=4,
    )
    assert isinstance(done.result.cut, BudgetExceeded)
    assert done.script.calls == 75
    assert {"as it came", "zero-shot"} <= set(done.labels)
    assert len(done.result.candidates) >= 2
    with pytest.raises(BudgetExceeded):
        await step(monkeypatch, SEARCH, learner, train=TRAIN, val=VAL, budget=ir.Budget(calls=19))


@pytest.mark.parametrize("optimizer", [SEARCH, OPTUNA])
async def test_a_providers_failure_ends_the_search(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        return Refused("blocked") if asked.question["text"].startswith("row 110 ") else learner(asked)

    with pytest.raises(Refused, match="blocked"):
        await step(monkeypatch, optimizer, reply, train=TRAIN, val=VAL)


# BootstrapFewShotWithOptuna ------------------------------------------------------------------------


def one_teaches_all(asked: Asked) -> dict[str, str]:
    """Right on val only when the one demo shown is of group 3; the teacher is right on train."""
    text = asked.question["text"]
    best = [shown for shown, _ in asked.demos if group(shown["text"]) == "3"]
    train = int(text.split()[1]) < 100
    return {"label": f"L{group(text)}" if best or train else "L?", "gist": "so"}


async def test_a_small_pool_is_scored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        OPTUNA,
        one_teaches_all,
        train=TRAIN,
        val=VAL,
        max_bootstrapped_demos=4,
        max_labeled_demos=0,
    )
    assert done.demos() == [{"text": "row 3 of g3", "label": "L3", "+": True}]
    assert done.labels == ["demos 3", "as it came", "demos 0", "demos 1", "demos 2"]
    assert done.result.notes == ("scored all 4 combinations: no more than there are trials",)
    assert done.script.calls == done.spent.calls <= done.promised.most


async def test_a_large_pool_is_searched_within_its_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        OPTUNA,
        one_teaches_all,
        student=pipeline(),
        train=TRAIN,
        val=VAL[:5],
        max_demos=9,
        max_labeled_demos=0,
        num_candidate_programs=12,
    )
    tried = {tuple(map(int, label.split()[1:])) for label in done.labels if label.startswith("demos")}
    assert 2 <= len(tried) <= 12
    assert all(0 <= index < 9 for choice in tried for index in choice)
    assert all(len(predictor.demos) == 1 for predictor in done.program.predictors.values())
    assert done.spent.calls <= done.promised.most
    again = await step(
        monkeypatch,
        OPTUNA,
        one_teaches_all,
        student=pipeline(),
        train=TRAIN,
        val=VAL[:5],
        max_demos=9,
        max_labeled_demos=0,
        num_candidate_programs=12,
    )
    assert again.result == done.result


async def test_the_wall_leaves_the_best_trial_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        OPTUNA,
        one_teaches_all,
        train=TRAIN,
        val=VAL,
        max_demos=16,
        max_labeled_demos=0,
        num_candidate_programs=10,
        budget=ir.Budget(calls=16 + 65),
    )
    assert isinstance(done.result.cut, BudgetExceeded)
    assert 2 <= len(done.result.candidates) <= 3
