"""COPRO: what is asked of the proposer, what is scored, and what wins."""

from __future__ import annotations

import pytest
from scripted import Asked, classifier, jitter, knowing, oracle, pipeline, rows
from stepping import Stepped, step
from writing import Model, is_writing, skill, task

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.counts import Calls
from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.copro import SPEC
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded, Refused
from dspec.runtime.schema.types import JsonValue

COPRO = "COPRO"
TRAIN, VAL = rows(12), rows(100, start=100)


def written(done: Stepped) -> list[Asked]:
    return [asked for asked in done.script.asked if is_writing(asked)]


async def test_the_best_instruction_wins_and_demos_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    student = knowing(9)
    done = await step(
        monkeypatch, COPRO, Model([40, 90, 10]), student=student, train=TRAIN, val=VAL, breadth=4, depth=1
    )
    assert skill(done.program) == 90
    assert done.program.predictors["ask"].demos == student.predictors["ask"].demos
    assert student.predictors["ask"].signature.instruction == "Give label."
    assert done.result.candidates[0].program is done.program
    assert done.result.candidates[0].score == 0.9
    assert "as it came" in done.labels
    assert dict(done.told)["as it came"] == 0.2


async def test_only_what_is_new_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([40, 50]), train=TRAIN, val=VAL, breadth=5, depth=3, init_temperature=0.7
    )
    asked = written(done)
    assert done.spent.prompt.calls == len(asked) == 7 + 8 + 8 == done.promised.prompt.most
    assert {one.request.temperature for one in asked} == {0.7}
    # A race has half as many again as `breadth` asks for; in the first round the current one is among them.
    first = asked[:7]
    assert [one.request.sample for one in first] == [1, 2, 3, 4, 5, 6, 7]
    assert all("attempts" not in one.question for one in first)
    assert {one.question["current_instruction"] for one in first} == {"Give label."}
    # Every proposal is shown training rows in an order of its own.
    assert len({one.question["examples"] for one in first}) == 7
    assert all(one.question["examples"].count("\n") == 11 for one in first)


async def test_later_rounds_see_the_best_attempts_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([40, 90, 10]), train=TRAIN, val=VAL, breadth=4, depth=2, search="full"
    )
    asked = written(done)
    assert len(asked) == 3 + 2 + 2
    shown = [asked[place].question["attempts"].split("\n") for place in (3, 4, 5, 6)]
    assert [[line for line in lines if line.startswith("Scored")] for lines in shown[:2]] == 2 * [
        ["Scored 10.0 of 100.", "Scored 20.0 of 100.", "Scored 40.0 of 100.", "Scored 90.0 of 100."]
    ]
    # The second half of a round knows of the first, too.
    assert shown[2] == shown[3]
    assert [line for line in shown[2] if line.startswith("Scored")] == [
        "Scored 40.0 of 100.", "Scored 40.0 of 100.", "Scored 90.0 of 100.", "Scored 90.0 of 100.",
    ]  # fmt: skip
    assert written(done)[-1].question["current_instruction"].startswith("Use skill 90.")


@pytest.mark.slow
@pytest.mark.parametrize("search", ["racing", "full"])
@pytest.mark.parametrize("student", [classifier(), pipeline()])
async def test_the_bound_is_met_when_nothing_is_shared(
    monkeypatch: pytest.MonkeyPatch, search: str, student: object
) -> None:
    # Equally good proposals that are all different: nothing can be dropped early.
    done = await step(
        monkeypatch,
        COPRO,
        Model([50]),
        student=student,
        train=TRAIN,
        val=VAL,
        breadth=4,
        depth=2,
        search=search,  # type: ignore[arg-type]
    )
    assert 0.9 * done.promised.most <= done.spent.calls <= done.promised.most
    assert done.promised.least <= done.spent.calls


async def test_racing_costs_a_fraction_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    skills = [15, 22, 30, 8, 55, 41, 35, 28, 12]
    raced, full = [
        await step(monkeypatch, COPRO, Model(skills), train=TRAIN, val=VAL, depth=1, search=search)
        for search in ("racing", "full")
    ]
    assert skill(raced.program) == skill(full.program) == 55
    assert full.spent.task.calls == 1000
    assert raced.spent.task.calls <= 100 + 0.42 * 900


async def test_predictors_are_tuned_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        if "gist" in asked.wanted:
            return {"gist": task(asked)}
        if is_writing(asked):
            return Model([40, 80])(asked)
        gist = asked.question["gist"]
        right = "skill 80" in gist and "skill 80" in task(asked)
        half = int(asked.question["text"].split()[1]) % 2 and (
            "skill 80" in gist or "skill 80" in task(asked)
        )
        return {"label": f"L{asked.question['text'][-1]}" if right or half else "L?"}

    done = await step(
        monkeypatch, COPRO, reply, student=pipeline(), train=TRAIN, val=VAL, breadth=3, depth=1, search="full"
    )
    assert (skill(done.program, "summarize"), skill(done.program, "decide")) == (80, 80)
    assert done.result.candidates[0].score == 1.0
    assert done.labels[0] == "decide round 1, instruction 2"


async def test_it_stops_when_there_is_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([40], mark=lambda asked: ""), train=TRAIN, val=VAL, breadth=6, depth=4
    )
    assert done.labels == ["round 1, instruction 1", "as it came"]
    assert done.result.notes == ("stopped in round 2: no instruction that was not tried before",)
    assert done.spent.prompt.calls == 8 + 5


async def test_useless_answers_leave_the_student(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str] | str:
        return "" if is_writing(asked) else oracle(asked)

    student = classifier()
    done = await step(monkeypatch, COPRO, reply, student=student, train=TRAIN, val=VAL, breadth=3)
    assert done.program is student
    assert done.result.notes == ("stopped in round 1: no instruction that was not tried before",)


async def test_ties_keep_what_it_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    student = classifier()
    done = await step(
        monkeypatch, COPRO, Model([20]), student=student, train=TRAIN, val=VAL, breadth=4, search="full"
    )
    assert done.program is student
    assert done.labels[0] == "as it came"


async def test_stats_are_told_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([40, 90]), train=TRAIN, val=VAL, breadth=3, depth=1, track_stats=True,
        search="full",
    )  # fmt: skip
    assert done.result.notes == ("round 1: 2 new, best 90.0, mean 65.0, worst 40.0",)


async def test_the_same_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    found: set[tuple[object, ...]] = set()
    for threads, seed in ((1, 0), (32, 2)):
        done = await step(
            monkeypatch, COPRO, Model([30, 60, 45]), student=pipeline(), train=TRAIN, val=VAL[:20], seed=5,
            threads=threads, latency=jitter(seed, 0.001), breadth=4, depth=2,
        )  # fmt: skip
        found.add(
            (
                artifact_text(Artifact(name="x", program=done.program)),
                tuple((one.label, program_digest(one.program), one.scores) for one in done.result.candidates),
                done.spent.calls,
                tuple(done.told),
            )
        )
    assert len(found) == 1


async def test_proposals_are_made_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([30]), student=pipeline(), train=TRAIN, val=VAL[:1], breadth=5, depth=1,
        latency=lambda: 0.002,
    )  # fmt: skip
    assert done.script.most_in_flight == 2 * 7


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("student", [classifier(), pipeline()])
async def test_tiny_sets(monkeypatch: pytest.MonkeyPatch, n: int, student: object) -> None:
    done = await step(monkeypatch, COPRO, Model([30, 99]), student=student, train=rows(n), breadth=2, depth=2)  # type: ignore[arg-type]
    assert len(done.result.candidates[0].scores) == n
    assert done.spent.calls <= done.promised.most


async def test_rows_without_labels_show_their_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tuple(Example(i, {"text": f"row {i} of g0"}, {}) for i in range(2))
    done = await step(monkeypatch, COPRO, Model([30]), train=bare, val=VAL[:5], breadth=2, depth=1)
    assert sorted(written(done)[0].question["examples"].split("\n")) == [
        '{"text": "row 0 of g0"}', '{"text": "row 1 of g0"}',
    ]  # fmt: skip


async def test_the_wall_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, COPRO, Model([40, 90]), train=TRAIN, val=VAL, breadth=3, search="full",
        budget=ir.Budget(calls=100 + 2 + 150), threads=1,
    )  # fmt: skip
    assert isinstance(done.result.cut, BudgetExceeded)
    assert done.script.calls <= 252
    assert skill(done.program) == 40
    # Met while proposing: the start is all there is.
    early = await step(monkeypatch, COPRO, Model([40]), train=TRAIN, val=VAL, budget=ir.Budget(calls=101))
    assert early.labels == ["as it came"]
    assert isinstance(early.result.cut, BudgetExceeded)
    with pytest.raises(BudgetExceeded):
        await step(monkeypatch, COPRO, Model([40]), train=TRAIN, val=VAL, budget=ir.Budget(calls=50))


async def test_a_provider_that_fails_is_no_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        return Refused("blocked") if is_writing(asked) else oracle(asked)

    with pytest.raises(Refused, match="blocked"):
        await step(monkeypatch, COPRO, reply, train=TRAIN, val=VAL[:5])


def test_the_cost_formula() -> None:
    def calls(**options: JsonValue) -> Calls:
        facts = Facts(train=12, val=50, predictors=2, calls_per_run=3)
        return SPEC.calls(Options(SPEC, options), facts)

    full = calls(search="full", breadth=10, depth=3)
    assert full.task == (150, 150 + 3 * 2 * 50 * (9 + 10 + 10))
    assert full.prompt == (18, 18 + 2 * 10 * 2)
    assert calls().task.most < 0.6 * full.task.most
    alone = Facts(train=12, val=50, predictors=1, calls_per_run=3)
    assert SPEC.calls(Options(SPEC, {}), alone).task.most < full.task.most / 2 / 2


def test_options_are_dspys() -> None:
    assert {option.name: option.default for option in SPEC.options} == {
        "breadth": 10, "depth": 3, "init_temperature": 1.4, "track_stats": False, "search": "racing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [("row {} of g{}", False), ("α row {} of g{}", False), ("行 {} of g{} 的消息，没有空格", True)],
    ids=["latin", "a letter", "chinese"],
)
async def test_who_writes_for_another_script_is_told_to_keep_to_its_language(
    text: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tuple(Example(n, {"text": text.format(n, n % 3)}, {"label": f"L{n % 3}"}) for n in range(6))
    done = await step(monkeypatch, COPRO, Model([40, 90]), train=train, val=VAL, breadth=3, depth=1)
    (language,) = {"neither translated nor" in " ".join(task(asked).split()) for asked in written(done)}
    assert language is told
    # Rows are shown as they are written, not as escapes.
    assert all(text.format(0, 0) in asked.question["examples"] for asked in written(done))
