"""Auto: rounds of other optimizers, cheapest first; what it spends, what it keeps, and how it explains itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from building import compiled, project
from edges import BLIND
from every_step import step as step_of
from every_step import writes, writes_by_question
from msgspec.structs import replace
from scripted import Asked, classifier, jitter, learner, oracle, pipeline, rows, wrong
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.counts import Calls
from dspec.compiler.optimizers import auto, auto_families
from dspec.compiler.optimizers.auto_families import FAMILIES, FEW, ORDER, FamilyPart
from dspec.compiler.optimizers.base import Explored, Facts, Options
from dspec.runtime.artifact.artifact import artifact_text, parse_artifact
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import Ensemble

AUTO = "Auto"
TRAIN, VAL = rows(16, groups=5), rows(40, start=100, groups=5)


def near(asked: Asked) -> Mapping[str, object]:
    """Right only where every demo is of the row's own group: one for each input, never a fixed set."""
    own = asked.question["text"].split()[-1]
    shown = {demo["text"].split()[-1] for demo, _ in asked.demos}
    return oracle(asked) if shown == {own} else wrong(asked)


def tosses(seed: int) -> Callable[[Asked], Mapping[str, object]]:
    """Every program is right on half of the rows, on others each."""

    def answer(asked: Asked) -> Mapping[str, object]:
        said = hashlib.sha256(repr((seed, asked.request.messages, asked.request.sample)).encode()).digest()
        return (oracle if said[0] % 2 else wrong)(asked)

    return answer


def tried(done: Stepped) -> list[str]:
    return [one.family for one in done.result.explored]


async def test_what_is_cheap_comes_first_and_what_gains_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, AUTO, writes(learner), train=TRAIN, val=VAL, ends=True)
    first = done.result.explored[0]
    assert first.family == FAMILIES[0].name
    assert first.kept
    assert first.gain > 0.5
    assert done.result.candidates[0].score == 1.0
    assert done.result.stopped == "nothing can score more"
    assert tried(done) == [FAMILIES[0].name]
    assert done.script.calls == done.spent.calls <= done.promised.most


async def test_rows_nearest_to_an_input_win_where_only_they_help(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        AUTO,
        writes(near),
        train=rows(27, groups=3),
        val=rows(18, start=100, groups=3),
        ends=True,
    )
    assert done.program.neighbours is not None
    assert "neighbours" in {one.winner for one in done.result.explored if one.kept}
    assert calls_per_run(done.program) == 1


async def test_nothing_helps_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, AUTO, writes(wrong), train=TRAIN, val=VAL)
    assert done.program == classifier()
    assert not any(one.kept for one in done.result.explored)
    assert done.result.stopped == f"{auto.PATIENCE} rounds in a row gained nothing"
    assert len(done.result.explored) == auto.PATIENCE
    assert done.result.notes[-1] == f"it stopped: {done.result.stopped}"
    assert all("none was better" in one.said() for one in done.result.explored)
    assert done.spent.calls < done.promised.most / 2


async def test_with_ten_rows_only_what_is_cheap_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    few = rows(5, start=100, groups=5)
    done = await step(monkeypatch, AUTO, writes(wrong), train=rows(5, groups=5), val=few)
    assert tried(done) == [FAMILIES[0].name]
    assert any(
        f"5 rows to compare on tell little: only what is cheap is tried ({FEW} would do)" in one
        for one in done.result.notes
    )
    assert done.spent.calls <= 40


async def test_a_perfect_start_costs_its_scoring_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, AUTO, writes(oracle), train=TRAIN, val=VAL, ends=True)
    assert done.program == classifier()
    assert done.spent.calls == len(VAL)
    assert not tried(done)
    assert done.result.notes[-1] == "it stopped: nothing can score more"


@pytest.mark.parametrize("seed", range(2))
async def test_of_a_noisy_metric_it_has_soon_enough(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    done = await step(
        monkeypatch, AUTO, writes_by_question(tosses(seed)), train=rows(8, groups=5), val=VAL[:24], seed=seed
    )
    assert done.spent.calls < 0.6 * done.promised.most, tried(done)
    assert done.result.notes[-1] == f"it stopped: {done.result.stopped}"
    # What luck brings of it is told: no round is said to have surely gained anything.
    assert all(one.low <= 0 for one in done.result.explored)


async def test_without_labels_those_that_need_some_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tuple(Example(row.index, row.inputs, {}) for row in TRAIN)
    done = await step(monkeypatch, AUTO, writes(wrong), train=bare, val=bare + bare, metric=BLIND)
    assert not {family.name for family in FAMILIES if family.needs_labels} & {*tried(done)}
    assert len(tried(done)) == len({*tried(done)})
    assert done.spent.calls < 300
    assert any(note.startswith("no row of train has a label: ") for note in done.result.notes)
    facts = Facts(len(bare), 2 * len(bare), 1, 1)
    labelled = auto.SPEC.calls(Options(auto.SPEC, {}), facts)
    assert done.spent.calls <= done.promised.most < 0.5 * labelled.most
    assert done.promised == auto.SPEC.calls(Options(auto.SPEC, {}), replace(facts, labelled=False))


def test_rows_without_labels_never_make_for_more_calls() -> None:
    """Where there is no val, the plan knows of labels in the half that is compared on."""
    facts = Facts(train=100, val=150, predictors=1, calls_per_run=1, student_scored=True)
    for most in range(50, 3000, 50):
        options = Options(auto.SPEC, {"max_calls": most})
        bare = auto.SPEC.calls(options, replace(facts, labelled=False))
        assert bare.most <= auto.SPEC.calls(options, facts).most


async def test_rounds_that_max_calls_cannot_pay_for_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, AUTO, writes(wrong), train=TRAIN, val=VAL, max_calls=40 + 140)
    assert done.promised.most <= 180
    assert tried(done) == [FAMILIES[0].name]
    assert done.result.stopped == "`max_calls = 180` pays for no further round"


async def test_what_was_taken_beyond_the_plan_is_taken_off_later_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if all rounds had been planned, and those before had taken as much again: a round begins where it still fits."""
    monkeypatch.setattr(auto, "all_rounds", lambda options, facts: list(ORDER))
    done = await step(monkeypatch, AUTO, writes(wrong), train=TRAIN, val=VAL, max_calls=400)
    assert done.script.calls <= 400
    assert tried(done)
    assert len(tried(done)) < len(ORDER)


async def test_a_round_of_contrasts_is_as_long_as_max_calls_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    for most in (500, 900, None):
        script = writes_by_question(tosses(0))
        done = await step(monkeypatch, AUTO, script, train=TRAIN, val=VAL, max_calls=most)
        assert done.script.calls <= done.promised.most
        assert most is None or done.promised.most <= most
        taken += [one.calls for one in done.result.explored if one.family == "contrasts"]
    short, longer, whole = taken
    assert short < longer < whole


async def test_max_calls_that_pays_for_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, AUTO, writes(wrong), train=TRAIN, val=VAL, max_calls=41)
    assert done.program == classifier()
    assert done.spent.calls == len(VAL)
    assert done.result.notes[-1] == "it stopped: `max_calls = 41` pays for no round"


@pytest.mark.parametrize(
    ("most", "rounds"),
    [
        (200, ["labels, neighbours"]),
        (300, ["rules"]),
        (500, ["labels, neighbours", "rules"]),
        (700, ["bootstrap, labels, neighbours", "rules"]),
        (1200, ["bootstrap, labels, neighbours", "contrasts 2"]),
        (1700, ["labels, neighbours", "contrasts 4"]),
        (2400, ["bootstrap, labels, neighbours", "contrasts 6"]),
    ],
)
def test_max_calls_is_spent_on_what_is_hoped_to_gain_most(most: int, rounds: list[str]) -> None:
    facts = Facts(train=100, val=150, predictors=1, calls_per_run=1, student_scored=True)

    def told(part: FamilyPart) -> str:
        batches = part.options(100).get("max_steps")
        return part.name if batches is None else f"{part.name} {batches}"

    found = auto_families.all_rounds(Options(auto.SPEC, {"max_calls": most}), facts)
    assert [", ".join(map(told, one.parts)) for one in found] == rounds
    assert sum(auto_families.round_calls(one, facts).most for one in found) <= most


@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
@pytest.mark.parametrize("val", [1, 17, 100])
async def test_no_more_is_asked_than_was_promised(
    monkeypatch: pytest.MonkeyPatch, program: object, val: int
) -> None:
    """Of a model that writes something else each time and gets better now and then, so that rounds come in many orders."""

    def now_and_then(asked: Asked) -> Mapping[str, object]:
        return (oracle if len(str(asked.request.messages)) % 3 == 0 else learner)(asked)

    done = await step(
        monkeypatch,
        AUTO,
        writes_by_question(now_and_then),
        student=program,  # type: ignore[arg-type]
        train=rows(8, groups=4),
        val=rows(val, start=100, groups=4),
        seed=val,
    )
    assert done.script.calls <= done.promised.most
    assert done.spent.task.calls <= done.promised.task.most
    assert done.spent.prompt.calls <= done.promised.prompt.most


def test_the_formula_adds_up_the_rounds() -> None:
    facts = Facts(train=100, val=150, predictors=1, calls_per_run=1, student_scored=True)
    whole = auto.SPEC.calls(Options(auto.SPEC, {}), facts)
    rounds = [auto_families.round_calls(family, facts) for family in ORDER]
    assert whole.most == sum(one.most for one in rounds)
    for most in (0, 100, 700, whole.most):
        less: Calls = auto.SPEC.calls(Options(auto.SPEC, {"max_calls": max(1, most)}), facts)
        assert less.most <= most
    with_start = auto.SPEC.calls(Options(auto.SPEC, {}), Facts(100, 150, 1, 1))
    assert with_start.task.least == 150


async def test_a_vote_only_where_more_calls_an_answer_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlike(asked: Asked) -> Mapping[str, object]:
        """Each prompt is wrong on other rows, so that a majority knows more than any of them."""
        said = len(str(asked.request.messages)) + int(asked.question["text"].split()[1])
        return (wrong if said % 3 == 0 else oracle)(asked) if asked.demos else wrong(asked)

    asked = []
    for allowed in (1, 3):
        done = await step(
            monkeypatch,
            AUTO,
            writes_by_question(unlike),
            train=rows(6, groups=5),
            val=rows(16, start=100, groups=5),
            max_calls_per_answer=allowed,
        )
        asked.append(done.script.calls)
        assert isinstance(done.result.program, Ensemble) <= (allowed == 3)
        assert sum(map(calls_per_run, [done.result.program])) <= allowed
    assert asked[0] == asked[1]  # runs of a vote are those of its members, which are known


async def test_the_wall_leaves_the_best_so_far(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, step_of(AUTO), budget=ir.Budget(calls=90))
    built, script, _ = await compiled(monkeypatch, tmp_path, made, writes(wrong), threads=4)
    assert built.status == "budget"
    assert script.calls <= 90
    (done,) = built.steps
    assert isinstance(done.result.cut, BudgetExceeded)
    assert done.result.stopped == done.result.cut.message
    # What was under way did not come to nothing, it came to no end.
    *whole, last = done.result.explored
    assert last.cut
    assert not any(one.cut for one in whole)
    assert last.said().endswith("; cut short before one was better")
    assert last.said() in done.result.notes


@pytest.mark.parametrize("most", [50, 90, 150])
@pytest.mark.parametrize("scoring", ["enough", "none"])
async def test_a_start_that_nobody_has_scored_is_paid_out_of_max_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, most: int, scoring: str
) -> None:
    found: list[object] = []
    for budget in (None, ir.Budget(calls=10_000)):  # a wall that nobody meets changes nothing
        made = project(
            tmp_path,
            ir.StepSpec(name="shown", optimizer="LabeledFewShot", options={"k": 2}),
            step_of(AUTO, max_calls=most),
            scoring=scoring,
            **({} if budget is None else {"budget": budget}),
        )
        built, _, _ = await compiled(monkeypatch, tmp_path, made, writes(wrong))
        assert built.plan.least <= built.spent.calls <= built.plan.most
        step = built.steps[1]
        assert step.spent.calls <= most
        found.append((built.spent.calls, [one.family for one in step.result.explored], step.result.stopped))
    assert found[0] == found[1]


async def test_the_artifact_tells_what_was_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts: set[str] = set()
    for threads in (1, 64):
        built, _, _ = await compiled(
            monkeypatch,
            tmp_path,
            project(tmp_path, step_of(AUTO)),
            writes_by_question(learner),
            threads=threads,
            latency=jitter(threads, 0.002),
        )
        assert built.spent.calls <= built.plan.most
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1
    (record,) = parse_artifact(texts.pop().encode()).provenance.steps
    assert record.explored
    assert record.stopped
    assert sum(one.calls for one in record.explored) <= record.calls
    assert all(one.low <= one.high for one in record.explored)


def test_a_round_of_one_says_one() -> None:
    one = Explored(
        family="wordings", optimizers=("COPRO",), programs=1, rows=1, gain=0.0, low=0.0, high=0.0,
        calls=1, cost_usd=None, kept=False,
    )  # fmt: skip
    assert one.said() == "wordings: 1 program, 1 call; none was better"
    assert "+50.0 on 1 row (" in replace(one, gain=0.5, winner="copro").said()
