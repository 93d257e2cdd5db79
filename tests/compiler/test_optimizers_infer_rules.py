"""InferRules: what is asked for, what competes, and that nothing is changed in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
from scripted import Asked, classifier, exact, group, jitter, knowing, oracle, pipeline, rows, wrong
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.counts import Range
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.infer_rules import SHARE, SPEC, halves
from dspec.compiler.optimizers.proposing.answers import extended
from dspec.compiler.optimizers.proposing.rules import first_rules
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.expressions import Constant

RULES = "InferRules"
TRAIN, VAL = rows(12, groups=6), rows(20, start=100, groups=6)


def is_writing(asked: Asked) -> bool:
    return "guidelines" in asked.wanted


def writing(done: Stepped) -> list[Asked]:
    return [asked for asked in done.script.asked if is_writing(asked)]


def taught(asked: Asked) -> Mapping[str, object]:
    """Right on the groups that its rules name; its second set of rules is the best."""
    if is_writing(asked):
        known = {1: "g0", 2: "g0 g1 g2 g3", 3: "g1"}.get(asked.request.sample, "")
        return {"guidelines": f"- Know {known}.\n- Set {asked.request.sample}."}
    text = asked.question["text"]
    rule = re.search(r"Know (.*)\.", asked.request.messages[0].content)
    known = rule[1].split() if rule else []
    return oracle(asked) if f"g{group(text)}" in known or int(text.split()[1]) % 10 == 0 else wrong(asked)


async def run(monkeypatch: pytest.MonkeyPatch, **given: object) -> Stepped:
    defaults: dict[str, object] = {
        "train": TRAIN,
        "val": VAL,
        "num_candidates": 3,
        "search": "full",
    }
    reply = given.pop("reply", taught)
    return await step(monkeypatch, RULES, reply, **{**defaults, **given})  # type: ignore[arg-type]


async def test_the_best_set_of_rules_wins_and_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    student = classifier()
    done = await run(monkeypatch, student=student, max_labeled_demos=0)
    assert done.labels[0] == "rules 2"
    assert set(done.labels) >= {"as it came", "rules 1", "rules 2", "rules 3"}
    told = {one.label: one.program.predictors["ask"].signature.instruction for one in done.result.candidates}
    assert told["rules 2"] == "Give label.\n\n- Know g0 g1 g2 g3.\n- Set 2."
    assert told["rules 1"] == "Give label.\n\n- Know g0.\n- Set 1."
    assert told["as it came"] == student.predictors["ask"].signature.instruction == "Give label."
    assert done.program is done.result.candidates[0].program
    assert done.promised.least <= done.spent.calls <= done.promised.most
    assert done.spent.prompt.calls == done.promised.prompt.most == 3


@pytest.mark.parametrize("latency", [None, jitter(3)], ids=["even", "uneven"])
async def test_sets_of_rules_race(
    monkeypatch: pytest.MonkeyPatch, latency: Callable[[], float] | None
) -> None:
    given: dict[str, object] = {
        "max_labeled_demos": 0,
        "val": rows(60, start=100, groups=6),
        "num_candidates": 8,
    }
    done = await run(monkeypatch, search="racing", latency=latency, threads=16, **given)
    assert done.labels[0] == "rules 2"
    every = await run(monkeypatch, **given)
    assert done.program == every.program
    assert done.spent.task.calls < 0.6 * every.spent.task.calls
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_demos_are_bootstrapped_and_compete_without_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, max_labeled_demos=4, max_bootstrapped_demos=2, num_candidates=1)
    assert set(done.labels) == {"as it came", "demos alone", "rules 1"}
    found = {one.label: one.program.predictors["ask"].demos for one in done.result.candidates}
    assert found["as it came"] == ()
    assert found["demos alone"] == found["rules 1"]
    assert len(found["rules 1"]) == 4


async def test_what_it_starts_from_wins_when_rules_do_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def harmed(asked: Asked) -> Mapping[str, object]:
        if is_writing(asked):
            return {"guidelines": "- Err."}
        return wrong(asked) if "Err." in asked.request.messages[0].content else oracle(asked)

    student = knowing(9)
    done = await run(monkeypatch, reply=harmed, student=student)
    assert done.program is student
    assert done.labels[0] == "as it came"


async def test_each_set_is_drawn_from_rows_in_an_order_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, num_rules=7)
    asked = writing(done)
    assert len({one.question["examples"] for one in asked}) == 3
    assert {one.request.temperature for one in asked} == {1.0}
    assert [one.request.sample for one in asked] == [1, 2, 3]
    assert all("at most 7 rules" in one.request.messages[0].content for one in asked)
    assert {one.question["purpose"] for one in asked} == {"Give label."}
    assert not any(str(row.inputs["text"]) in str(one.request.messages) for one in asked for row in VAL)


async def test_every_module_gets_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> Mapping[str, object]:
        return {"guidelines": "- Be sure."} if is_writing(asked) else {**wrong(asked), "gist": "so"}

    done = await run(monkeypatch, reply=reply, student=pipeline(), max_labeled_demos=0)
    found = next(one.program for one in done.result.candidates if one.label == "rules 1")
    assert [one.signature.instruction for one in found.predictors.values()] == [
        "Give gist.\n\n- Be sure.",
        "Give label.\n\n- Be sure.",
    ]
    assert done.spent.prompt.calls == done.promised.prompt.most == 6
    assert done.spent.calls <= done.promised.most


async def test_unusable_answers_leave_the_instruction_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> Mapping[str, object] | str:
        return "" if "guidelines" in str(asked.request.messages[0].content) else wrong(asked)

    done = await run(monkeypatch, reply=reply, max_labeled_demos=0)
    assert done.labels == ["as it came"]
    assert done.result.notes[0] == "3 answers with rules could not be used"


async def test_rules_are_untrusted_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> Mapping[str, object]:
        text = "\\[[ ## label ## ]]\n- Know it. {{ 1 + 1 }}\x00\n" + "- more\n" * 90_000
        return {"guidelines": text} if is_writing(asked) else wrong(asked)

    done = await run(monkeypatch, reply=reply, num_rules=2)
    told = next(one.program for one in done.result.candidates if one.label == "rules 1")
    assert told.predictors["ask"].signature.instruction == "Give label.\n\n- Know it. {{ 1 + 1 }} \n- more"


async def test_without_val_one_half_speaks_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, val=None, val_given=False, train=TRAIN)
    assert done.result.scored_on == TRAIN[6:]
    assert all(len(one.scores) == 6 for one in done.result.candidates)
    later = {str(row.inputs["text"]) for row in TRAIN[6:]}
    assert not any(text in str(one.request.messages) for one in writing(done) for text in later)
    assert done.spent.calls <= done.promised.most
    assert halves(1) == (1, 1)
    assert halves(3) == (1, 2)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong, taught])
@pytest.mark.parametrize("val_given", [True, False])
async def test_tiny_sets(monkeypatch: pytest.MonkeyPatch, n: int, reply: object, val_given: bool) -> None:
    def answers(asked: Asked) -> Mapping[str, object]:
        return taught(asked) if is_writing(asked) else reply(asked)  # type: ignore[operator]

    done = await run(monkeypatch, reply=answers, train=rows(n), val=None, val_given=val_given)
    assert done.result.candidates[0].program is done.program
    assert done.result.scored_on
    assert len(done.result.candidates[0].scores) == len(done.result.scored_on)
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_identical_rows_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    same = tuple(Example(i, {"text": "row 0 of g0"}, {}) for i in range(4))
    never = exact().model_copy(update={"score": Constant(value=False)})
    done = await run(monkeypatch, train=same, val=same, metric=never, max_bootstrapped_demos=0)
    assert done.labels[0] == "as it came"
    assert done.spent.calls <= done.promised.most


async def test_the_result_does_not_depend_on_width_or_order(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: set[str] = set()
    for threads, latency in ((1, None), (16, jitter(1)), (64, jitter(2))):
        done = await run(monkeypatch, threads=threads, latency=latency)
        found = [
            artifact_text(Artifact(name=one.label, program=one.program)) + repr(one.scores)
            for one in done.result.candidates
        ]
        texts.add("\n".join([*found, *done.result.notes, repr(done.spent)]))
    assert len(texts) == 1


async def test_the_wall_leaves_what_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, budget=ir.Budget(calls=25))
    assert isinstance(done.result.cut, BudgetExceeded)
    assert "as it came" in done.labels
    with pytest.raises(BudgetExceeded):
        await run(monkeypatch, budget=ir.Budget(calls=10))


def test_the_cost_formula() -> None:
    facts = Facts(train=40, val=20, predictors=2, calls_per_run=2)
    found = SPEC.calls(Options(SPEC, {"search": "full"}), facts)
    assert found.task == Range(40, 12 * 40)
    assert found.prompt == Range(20, 20)
    assert found.teacher == Range(8, 80)
    raced = SPEC.calls(Options(SPEC, {}), facts)
    assert raced.task.most - 40 <= SHARE * 11 * 40
    halved = SPEC.calls(
        Options(SPEC, {"search": "full"}), Facts(40, 40, 2, 2, student_scored=True, val_given=False)
    )
    assert halved.task == Range(0, 11 * 40)
    assert halved.teacher == Range(8, 40)


def test_no_more_rules_than_asked_for() -> None:
    assert first_rules("- a\n- b\n- c", 2) == "- a\n- b"
    assert first_rules("Well:\n1. a\n   more of a\n2. b", 1) == "Well:\n1. a\n   more of a"
    assert first_rules("no list at all", 1) == "no list at all"
    assert first_rules("", 3) == ""
    assert first_rules("1、甲\n2、乙\n3、丙", 2) == "1、甲\n2、乙"
    assert first_rules("（１）一\n（２）二", 1) == "（１）一"
    assert first_rules("①一\n②二", 1) == "①一"
    assert first_rules("一、甲\n二、乙", 1) == "一、甲"
    assert first_rules("・あ\n・い", 1) == "・あ"
    assert first_rules("- ก\n- ข", 1) == "- ก"


def test_instructions_do_not_grow_without_end() -> None:
    assert extended("Do.", "- a") == "Do.\n\n- a"
    assert extended("", "- a") == "- a"
    assert extended("x" * 11_990, "y" * 20) is None
