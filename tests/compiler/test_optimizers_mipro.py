"""MIPROv2: sets and proposals, the combinations that are tried, and which one wins."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from scripted import Asked, classifier, group, jitter, oracle, pipeline, rows, wrong
from stepping import Stepped, step
from writing import Model, is_writing, skill

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.counts import Calls
from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.mipro import SPEC
from dspec.compiler.optimizers.mipro_plan import Sizes, compared_on, rewrites, sizes, strategy
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded, Refused
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.schema.types import JsonValue

MIPRO = "MIPROv2"
TRAIN, VAL = rows(16, groups=5), rows(60, start=100, groups=5)
ZERO_SHOT: dict[str, JsonValue] = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}


def manual(candidates: int, trials: int) -> dict[str, JsonValue]:
    return {"auto": None, "num_candidates": candidates, "num_trials": trials}


def written(done: Stepped, what: str = "instruction") -> list[Asked]:
    return [asked for asked in done.script.asked if what in asked.wanted]


def labels(done: Stepped) -> list[str]:
    return [candidate.label for candidate in done.result.candidates]


def taught(program: Program, *groups: int) -> Program:
    demos = tuple(Demo(inputs={"text": f"row 900 of g{g}"}, outputs={"label": f"L{g}"}) for g in groups)
    return program.with_predictor("ask", demos=demos)


async def test_instructions_and_demos_are_tuned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, MIPRO, Model([60, 30]), train=TRAIN, val=VAL, seed=1)
    assert skill(done.program) == 60
    assert done.demos()
    assert done.result.candidates[0].program is done.program
    assert done.result.candidates[0].score >= 0.6
    assert len(done.result.candidates[0].scores) == len(VAL)
    assert "as it came" in labels(done)
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_light_asks_for_what_it_needs_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, MIPRO, Model([60, 30]), train=TRAIN, val=VAL)
    # Three instructions, the first one there already; two at the one look that few trials have; two batches of rows, and one
    # call that joins them.
    assert [one.request.sample for one in written(done)] == [1, 2] * 2
    assert (len(written(done, "observations")), len(written(done, "summary"))) == (2, 1)
    assert done.spent.prompt.calls == done.promised.prompt.most == 5 + 2


async def test_further_instructions_are_written_in_view_of_the_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each proposal is told what was tried and how it did, the best one last, and is tried itself."""

    def reply(asked: Asked) -> dict[str, str]:
        tried = asked.question.get("attempts", "").count("Scored")
        return Model([min(90, 20 + 10 * tried)])(asked) if is_writing(asked) else Model([1])(asked)

    done = await step(monkeypatch, MIPRO, reply, train=TRAIN, val=VAL, auto="medium")
    late = [one for one in written(done) if "attempts" in one.question]
    assert len(late) > 6
    assert all("data_summary" in one.question for one in late)
    assert late[0].question["attempts"].count("Scored") < late[-1].question["attempts"].count("Scored")
    for one in late:
        shown = re.findall(r"Scored (\S+) of 100", one.question["attempts"])
        assert [float(score) for score in shown] == sorted(float(score) for score in shown)
        best = f"Scored {shown[-1]} of 100.\n{one.question['current_instruction']}"
        assert best in one.question["attempts"]
    assert skill(done.program) > 40
    first = await step(monkeypatch, MIPRO, reply, train=TRAIN, val=VAL, search="minibatch")
    assert not any("attempts" in one.question for one in written(first))
    assert skill(first.program) == 20
    blind = await step(
        monkeypatch, MIPRO, reply, train=TRAIN, val=VAL, auto="medium", data_aware_proposer=False
    )
    told = [one.question for one in written(blind) if "attempts" in one.question]
    assert told
    assert not any(field in one for one in told for field in ("data_summary", "examples"))


async def test_proposals_that_say_nothing_new_are_counted_and_ask_for_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = Model([60], lambda asked: "")
    done = await step(monkeypatch, MIPRO, same, train=TRAIN, val=VAL, **manual(2, 20), **ZERO_SHOT)
    assert labels(done) == ["instruction 1, demos 0", "as it came"]
    assert done.spent.prompt.calls <= done.promised.prompt.most
    assert done.result.notes == ("2 proposals could not be used or said what another said",)


@pytest.mark.parametrize(
    ("auto", "bare", "predictors", "expected"),
    [
        ("light", False, 1, Sizes(3, 6, 10, 100)),
        ("medium", False, 1, Sizes(6, 12, 18, 300)),
        ("heavy", False, 1, Sizes(9, 18, 27, 1000)),
        ("light", True, 1, Sizes(6, 1, 9, 100)),
        ("medium", True, 1, Sizes(12, 1, 18, 300)),
        ("heavy", True, 1, Sizes(18, 1, 27, 1000)),
        ("light", False, 2, Sizes(3, 6, 20, 100)),
        ("medium", False, 2, Sizes(6, 12, 28, 300)),
        ("heavy", False, 2, Sizes(9, 18, 33, 1000)),
        ("light", True, 2, Sizes(6, 1, 10, 100)),
        ("medium", True, 2, Sizes(12, 1, 18, 300)),
    ],
)
def test_auto_means_what_it_means_in_dspy(auto: str, bare: bool, predictors: int, expected: Sizes) -> None:
    options = Options(SPEC, {"auto": auto, **(ZERO_SHOT if bare else {})})
    assert sizes(options, predictors) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"auto": "heavy"}, None),
        (manual(4, 9), None),
        ({"num_candidates": 4}, "`auto` sets `num_candidates` itself"),
        ({"auto": "light", "num_trials": 4}, "`auto` sets `num_trials` itself"),
        (
            {"auto": None, "num_trials": 4},
            "`auto` is `none`, so `num_candidates` and `num_trials` must both be set",
        ),
        (
            {"minibatch": False, "search": "minibatch"},
            "`search` asks for minibatches, which `minibatch` turns off",
        ),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, JsonValue], expected: str | None) -> None:
    found = {conflict.found(Options(SPEC, given)): conflict for conflict in SPEC.conflicts}
    assert found.keys() - {None} == {expected} - {None}
    if expected is not None:
        assert found[expected].help
        assert all(f"`{name}`" in expected for name in found[expected].names)


@pytest.mark.parametrize("search", ["racing", "minibatch"])
@pytest.mark.parametrize("student", [classifier(), pipeline()])
async def test_the_bound_is_met_when_nothing_is_shared(
    monkeypatch: pytest.MonkeyPatch, search: str, student: Program
) -> None:
    # No demo is ever found, the sets of labelled rows and the instructions all differ and are equally good.
    def reply(asked: Asked) -> dict[str, str]:
        return Model([50])(asked) if is_writing(asked) else wrong(asked)

    done = await step(monkeypatch, MIPRO, reply, student=student, train=TRAIN, val=VAL, search=search)
    assert 0.9 * done.promised.most <= done.spent.calls <= done.promised.most
    assert done.spent.prompt.calls == done.promised.prompt.most
    assert done.spent.teacher.calls <= done.promised.teacher.most


async def test_zero_shot_leaves_demos_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    student = taught(classifier(), 0)
    done = await step(
        monkeypatch, MIPRO, Model([60, 30, 45]), student=student, train=TRAIN, val=VAL, seed=1, **ZERO_SHOT
    )
    assert skill(done.program) == 60
    assert all(
        one.program.predictors["ask"].demos == student.predictors["ask"].demos
        for one in done.result.candidates
    )
    full = await step(
        monkeypatch,
        MIPRO,
        Model([60, 30, 45]),
        student=student,
        train=TRAIN,
        val=VAL,
        search="minibatch",
        **ZERO_SHOT,
    )
    assert full.result.notes[0] == "tried all 6 combinations: no more than there are trials"
    # The teacher's demos are for the proposer's eyes.
    assert 0 < done.spent.teacher.calls <= done.promised.teacher.most
    without = await step(
        monkeypatch, MIPRO, Model([60]), train=TRAIN, val=VAL, fewshot_aware_proposer=False, **ZERO_SHOT
    )
    assert without.spent.teacher.calls == without.promised.teacher.most == 0


async def test_without_demos_every_later_trial_tries_an_instruction_written_in_view_of_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        tried = asked.question.get("attempts", "").count("Scored")
        better = min(90, 20 + 3 * tried + asked.request.sample)
        return Model([better])(asked) if is_writing(asked) else Model([1])(asked)

    done = await step(monkeypatch, MIPRO, reply, train=TRAIN, val=VAL, auto="medium", **ZERO_SHOT)
    late = [one.question["attempts"].count("Scored") for one in written(done) if "attempts" in one.question]
    # The start and three at first, and after every three trials three more, each of which is tried next.
    assert late == [4 + 3 * (look // 3) for look in range(len(late))]
    assert len(late) > 6
    assert done.spent.calls <= done.promised.most
    assert skill(done.program) > 40


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({"auto": "light"}, 30),
        ({"auto": "medium"}, 60),
        ({"auto": "heavy"}, 120),
        ({"search": "minibatch"}, 50),
        ({"minibatch": False}, 50),
        (manual(6, 9), 100),
    ],
)
def test_without_demos_a_race_has_more_trials_on_fewer_rows(given: dict[str, JsonValue], rows: int) -> None:
    options = Options(SPEC, given | ZERO_SHOT)
    assert compared_on(options) == rows
    facts = Facts(train=100, val=rows, val_whole=1000, predictors=1, calls_per_run=1)
    _, tried = strategy(options, 1, rows, whole=1000)
    later = SPEC.calls(options, facts).prompt
    if rewrites(options):
        assert sizes(options, 1).trials < tried <= 3 * sizes(options, 1).trials
        assert later.most - later.least == 3 * ((tried - 1) // 3)
    else:
        assert tried <= sizes(options, 1).trials


async def test_what_it_starts_from_wins_when_nothing_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    for reply in (oracle, wrong):
        student = taught(classifier(), 7)

        def answered(asked: Asked, reply: object = reply) -> dict[str, str]:
            return Model([1])(asked) if is_writing(asked) else reply(asked)  # type: ignore[operator]

        done = await step(monkeypatch, MIPRO, answered, student=student, train=TRAIN, val=VAL)
        assert done.program is student
        assert labels(done)[0] == "as it came"


async def test_combinations_that_run_out_are_the_end_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        MIPRO,
        Model([60]),
        train=TRAIN,
        val=VAL,
        search="minibatch",
        **manual(2, 20),
        **ZERO_SHOT,
    )
    assert labels(done) == ["instruction 1, demos 0", "as it came"]
    assert done.result.notes == ("tried all 2 combinations: no more than there are trials",)
    for search in ("racing", "minibatch"):
        alone = await step(
            monkeypatch, MIPRO, Model([60]), train=TRAIN, val=VAL, search=search, **manual(1, 9)
        )
        assert labels(alone) == ["as it came"]
        assert alone.spent.prompt.calls == alone.promised.prompt.most == 0


async def test_no_bootstrapped_demos_but_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        MIPRO,
        Model([40, 45]),
        train=TRAIN,
        val=VAL,
        max_bootstrapped_demos=0,
        max_labeled_demos=3,
    )
    assert done.spent.teacher.calls == done.promised.teacher.most == 0
    assert all(len(one.program.predictors["ask"].demos) in (0, 3) for one in done.result.candidates)
    assert len(done.demos()) == 3


async def test_trials_of_a_minibatch_search_see_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, MIPRO, Model([40, 45]), train=TRAIN, val=VAL, search="minibatch", minibatch_size=10,
        **manual(3, 6), fewshot_aware_proposer=False, max_bootstrapped_demos=0,
    )  # fmt: skip
    seen: dict[str, set[str]] = {}
    for asked in done.script.asked:
        if not is_writing(asked):
            program = str([message.content for message in asked.request.messages[:-1]])
            seen.setdefault(program, set()).add(asked.question["text"])
    short = [texts for texts in seen.values() if len(texts) < len(VAL)]
    assert len(short) >= 3
    assert len({frozenset(texts) for texts in short}) == 1
    assert len(short[0]) == 10
    # As many full evaluations as there are looks at the results, and the start.
    assert len(labels(done)) == 1 + 2


@pytest.mark.parametrize("search", ["racing", "minibatch"])
async def test_large_spaces_are_searched_within_the_trials(
    monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    done = await step(
        monkeypatch, MIPRO, Model([60, 30, 50]), student=pipeline(), train=TRAIN, val=VAL, search=search,
        **manual(4, 15),
    )  # fmt: skip
    assert done.spent.calls <= done.promised.most
    assert done.result.candidates[0].score > 0.4
    assert done.result.cut is None


async def test_without_minibatches_every_trial_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        MIPRO,
        Model([60, 30, 45]),
        train=TRAIN,
        val=VAL,
        minibatch=False,
        **manual(4, 7),
        **ZERO_SHOT,
    )
    # Four instructions at first; two looks at the scores, of which each brings two more.
    assert len(labels(done)) == 8
    assert done.spent.task.calls == 8 * len(VAL)


async def test_the_winner_is_scored_on_all_of_val_whatever_the_race_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    val = rows(250, start=100, groups=5)
    done = await step(monkeypatch, MIPRO, Model([60, 30, 70, 50, 40]), train=TRAIN, val=val, **ZERO_SHOT)
    assert skill(done.program) == 70
    assert {len(one.scores) for one in done.result.candidates} == {250}
    assert done.spent.task.calls < 3 * 250


@pytest.mark.parametrize(
    ("off", "field"),
    [
        ("data_aware_proposer", "data_summary"),
        ("program_aware_proposer", "program"),
        ("tip_aware_proposer", "tip"),
    ],
)
async def test_a_proposer_is_told_what_the_options_say(
    monkeypatch: pytest.MonkeyPatch, off: str, field: str
) -> None:
    options = manual(8, 1) | ZERO_SHOT
    full = await step(monkeypatch, MIPRO, Model([40]), train=TRAIN, val=VAL[:2], **options)
    told = await step(monkeypatch, MIPRO, Model([40]), train=TRAIN, val=VAL[:2], **options, **{off: False})
    assert any(field in one.question for one in written(full))
    assert not any(field in one.question for one in written(told))
    assert all("module" in one.question for one in written(told))


async def test_demos_that_a_teacher_made_are_shown_to_the_proposer(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        return Model([40])(asked) if is_writing(asked) else oracle(asked) | {"label": "taught"}

    unlabelled = tuple(Example(i, {"text": f"row {i} of g0"}, {"label": "taught"}) for i in range(8))
    done = await step(
        monkeypatch, MIPRO, reply, train=unlabelled, val=VAL[:3], data_aware_proposer=False, **manual(3, 3)
    )
    assert all('"taught"' in one.question["examples"] for one in written(done))
    assert all(one.question["examples"].count("\n") < 3 for one in written(done))
    blind = await step(
        monkeypatch, MIPRO, reply, train=unlabelled, val=VAL[:3], data_aware_proposer=False,
        fewshot_aware_proposer=False, **manual(3, 3),
    )  # fmt: skip
    assert not any("examples" in one.question for one in written(blind))


async def test_the_proposers_temperature_reaches_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, MIPRO, Model([40]), train=TRAIN, val=VAL[:3], init_temperature=0.3, **ZERO_SHOT
    )
    assert {one.request.temperature for one in written(done)} == {0.3}


@pytest.mark.parametrize("search", ["racing", "minibatch"])
async def test_the_same_at_any_width(monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    found: set[tuple[object, ...]] = set()
    for threads, seed in ((1, 0), (32, 2)):
        done = await step(
            monkeypatch, MIPRO, Model([30, 60, 45]), student=pipeline(), train=TRAIN, val=VAL[:20], seed=5,
            threads=threads, latency=jitter(seed, 0.001), search=search,
        )  # fmt: skip
        found.add(
            (
                artifact_text(Artifact(name="x", program=done.program)),
                tuple((one.label, program_digest(one.program), one.scores) for one in done.result.candidates),
                done.spent.calls,
                done.result.notes,
                tuple(done.told),
            )
        )
    assert len(found) == 1


async def test_seeds_matter_zero_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        await step(monkeypatch, MIPRO, Model([30, 60]), train=TRAIN, val=VAL[:20], seed=seed)
        for seed in (0, 0, 1)
    ]
    asked = [tuple(one.question["examples"] for one in written(done)) for done in made]
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong])
@pytest.mark.parametrize("search", ["racing", "minibatch"])
async def test_tiny_sets_without_val(
    monkeypatch: pytest.MonkeyPatch, n: int, reply: object, search: str
) -> None:
    def answered(asked: Asked) -> dict[str, str]:
        return Model([1, 2])(asked) if is_writing(asked) else reply(asked)  # type: ignore[operator]

    done = await step(monkeypatch, MIPRO, answered, train=rows(n), search=search)
    assert len(done.result.candidates[0].scores) == n
    assert done.spent.calls <= done.promised.most


async def test_identical_rows_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    same = tuple(Example(i, {"text": "row 0 of g0"}, {}) for i in range(4))
    done = await step(monkeypatch, MIPRO, Model([40, 80]), train=same, val=VAL, max_bootstrapped_demos=0)
    assert skill(done.program) == 80
    assert done.spent.calls <= done.promised.most


async def test_a_tuned_program_is_a_fine_student(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await step(monkeypatch, MIPRO, Model([60, 30]), train=TRAIN, val=VAL, seed=1)
    second = await step(
        monkeypatch, MIPRO, Model([65, 30]), student=first.program, train=TRAIN, val=VAL, seed=2
    )
    assert second.result.candidates[0].score >= first.result.candidates[0].score
    assert second.spent.calls <= second.promised.most


async def test_a_teacher_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        if is_writing(asked):
            return Model([20])(asked)
        text = asked.question["text"]
        known = any(group(shown["text"]) == group(text) for shown, _ in asked.demos)
        return {"label": f"L{group(text)}" if known else "L?"}

    teacher = taught(classifier(), 0, 1, 2, 3, 4)
    done = await step(
        monkeypatch,
        MIPRO,
        reply,
        teacher=teacher,
        train=TRAIN,
        val=VAL[:20],
        max_labeled_demos=0,
        seed=1,
        **manual(4, 9),
    )
    assert done.result.candidates[0].score >= 0.6
    assert all(demo["+"] for demo in done.demos())


async def test_the_wall_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await step(monkeypatch, MIPRO, Model([60, 30]), train=TRAIN, val=VAL, threads=1)
    for calls in (70, 100, 150, whole.script.calls - 1):
        done = await step(
            monkeypatch,
            MIPRO,
            Model([60, 30]),
            train=TRAIN,
            val=VAL,
            threads=1,
            budget=ir.Budget(calls=calls),
        )
        assert isinstance(done.result.cut, BudgetExceeded)
        assert done.script.calls <= calls
        assert labels(done)
    with pytest.raises(BudgetExceeded):
        await step(monkeypatch, MIPRO, Model([60]), train=TRAIN, val=VAL, budget=ir.Budget(calls=59))


async def test_a_provider_that_fails_is_no_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        return Refused("blocked") if "instruction" in asked.wanted else Model([30])(asked)

    with pytest.raises(Refused, match="blocked"):
        await step(monkeypatch, MIPRO, reply, train=TRAIN, val=VAL)


def test_the_cost_formula() -> None:
    def calls(facts: Facts, **options: JsonValue) -> Calls:
        return SPEC.calls(Options(SPEC, options), facts)

    facts = Facts(train=40, val=100, predictors=1, calls_per_run=1)
    # DSPy's own schedule, less what the shared minibatch saves: 10 trials of 35, two completed.
    assert calls(facts, search="minibatch").task == (100, 100 + 350 + 2 * 65)
    assert calls(facts, minibatch=False).task.most == 100 + 10 * 100
    # In a race, up to two more at each of three looks, if there are rows enough to tell ten trials apart.
    raced = replace(facts, val=50, val_whole=100)
    assert calls(facts, search="minibatch").prompt == (7, 7)
    assert calls(raced).prompt == (7, 13)
    assert calls(raced, data_aware_proposer=False).prompt == (2, 8)
    assert calls(raced, view_data_batch_size=40).prompt == (3, 9)
    assert calls(facts).teacher == (4, 40)
    # Own demos, none, and labelled rows take three of the sets, so that perhaps no teacher is asked.
    few = manual(3, 5)
    assert calls(facts, **few).teacher == (0, 40)
    bare = Facts(train=40, val=100, predictors=1, calls_per_run=1, student_bare=True, student_scored=True)
    assert calls(bare, **few).teacher == (4, 40)
    assert calls(bare).task.least == 0


@pytest.mark.parametrize(("auto", "dspy"), [("light", 650), ("medium", 1130), ("heavy", 1645)])
def test_racing_needs_half_of_what_dspy_spends(auto: str, dspy: int) -> None:
    facts = Facts(train=40, val=100, predictors=1, calls_per_run=1)
    assert SPEC.calls(Options(SPEC, {"auto": auto}), facts).task.most <= 0.5 * dspy


@pytest.mark.parametrize("predictors", [2, 3, 4])
def test_a_trial_of_several_predictors_is_looked_at_as_closely_as_one_of_one(predictors: int) -> None:
    """Not more closely: what trials share of their calls, nobody pays for twice in DSPy either."""

    def rows_per_trial(predictors: int) -> float:
        facts = Facts(train=40, val=100, predictors=predictors, calls_per_run=predictors)
        raced = SPEC.calls(Options(SPEC, {}), facts).task.most / predictors - facts.val
        return raced / sizes(Options(SPEC, {}), predictors).trials

    assert rows_per_trial(predictors) == pytest.approx(rows_per_trial(1), rel=0.2)


def test_options_are_dspys() -> None:
    defaults = {option.name: option.default for option in SPEC.options}
    assert defaults == {
        "auto": "light", "num_candidates": None, "num_trials": None, "max_bootstrapped_demos": 4,
        "max_labeled_demos": 4, "init_temperature": 1.0, "minibatch": True, "minibatch_size": 35,
        "minibatch_full_eval_steps": 5, "program_aware_proposer": True, "data_aware_proposer": True,
        "view_data_batch_size": 10, "tip_aware_proposer": True, "fewshot_aware_proposer": True,
        "max_errors": None, "metric_threshold": None, "search": "racing",
    }  # fmt: skip
