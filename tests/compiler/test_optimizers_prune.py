"""Prune: what is taken out, what stays, and what a compile makes of the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from building import compiled, plan_of, project
from hypothesis import given
from hypothesis import strategies as st
from scripted import Asked, classifier, group, jitter, knowing, oracle, rows, wrong
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.prune import ARMS, SPEC, Removable, parts, race, sentences, without
from dspec.compiler.optimizers.texts import prompt_tokens
from dspec.runtime.artifact.artifact import Artifact, artifact_text
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.program import Demo, Program

TOLD = "Give label. Be brief. Mind the tone.\n- Know it.\n- Say so."
VAL = rows(60, start=100)


def long() -> Program:
    demos = tuple(
        Demo(inputs={"text": f"row {i} of g{i % 5}"}, outputs={"label": f"L{i % 5}"}) for i in range(12)
    )
    return classifier().with_predictor("ask", instruction=TOLD, demos=demos)


def instruction(program: Program) -> str:
    return program.predictors["ask"].signature.instruction


def indifferent(asked: Asked) -> Mapping[str, object]:
    """Right on two groups of three, whatever it is told."""
    return oracle(asked) if int(group(asked.question["text"])) < 3 else wrong(asked)


def needs_the_rule(asked: Asked) -> Mapping[str, object]:
    """Right where it is told to know it, or shown demo 3."""
    told = "Know it." in asked.request.messages[0].content
    shown = any(given["text"] == "row 3 of g3" for given, _ in asked.demos)
    number = int(asked.question["text"].split()[1])
    return oracle(asked) if (told and number % 2) or (shown and not number % 2) else wrong(asked)


def the_other_half(asked: Asked) -> Mapping[str, object]:
    """Right on every other row, and on the others once anything is left out."""
    told = asked.request.messages[0].content
    whole = len(asked.demos) == 12 and all(one.strip() in told for one in sentences(TOLD))
    number = int(asked.question["text"].split()[1])
    return oracle(asked) if number % 2 == whole else wrong(asked)


async def run(monkeypatch: pytest.MonkeyPatch, **given: object) -> Stepped:
    defaults: dict[str, object] = {"train": rows(6), "val": VAL, "student": long()}
    reply = given.pop("reply", indifferent)
    return await step(monkeypatch, "Prune", reply, **{**defaults, **given})  # type: ignore[arg-type]


async def test_what_makes_no_difference_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch)
    assert isinstance(done.program, Program)
    assert prompt_tokens(done.program) < 0.3 * prompt_tokens(long())
    assert instruction(done.program).startswith("Give label.")
    assert done.result.candidates[0].program is done.program
    assert "left out" in done.result.notes[0]
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_what_matters_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, reply=needs_the_rule, rounds=8)
    assert isinstance(done.program, Program)
    assert "Know it." in instruction(done.program)
    assert any(demo.inputs["text"] == "row 3 of g3" for demo in done.program.predictors["ask"].demos)
    assert prompt_tokens(done.program) < prompt_tokens(long())
    start = next(one.score for one in done.result.candidates if one.label == "as it came")
    assert done.result.candidates[0].score >= start - 0.01
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_a_loss_that_is_allowed_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, reply=needs_the_rule, max_loss=1.0)
    assert isinstance(done.program, Program)
    assert prompt_tokens(done.program) < 0.2 * prompt_tokens(long())


async def test_what_loses_and_gains_as_many_rows_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, reply=the_other_half, max_loss=0.0)
    assert isinstance(done.program, Program)
    assert prompt_tokens(done.program) < 0.3 * prompt_tokens(long())


async def test_a_perfect_program_is_pruned_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, reply=oracle)
    assert isinstance(done.program, Program)
    assert prompt_tokens(done.program) < 0.3 * prompt_tokens(long())


async def test_a_program_with_nothing_to_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    student = knowing(3).with_predictor("ask", instruction="Give label.", demos=())
    done = await run(monkeypatch, student=student)
    assert done.program is student
    assert "nothing could be left out" in done.result.notes[0]
    assert done.spent.calls == len(VAL)


async def test_the_result_does_not_depend_on_width_or_order(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: set[str] = set()
    for threads, latency in ((1, None), (16, jitter(1)), (64, jitter(2))):
        done = await run(monkeypatch, reply=needs_the_rule, threads=threads, latency=latency)
        found = [
            artifact_text(Artifact(name=one.label, program=one.program)) + repr(one.scores)
            for one in done.result.candidates
        ]
        texts.add("\n".join([*found, *done.result.notes, repr(done.spent)]))
    assert len(texts) == 1


async def test_the_wall_leaves_the_smallest_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await run(monkeypatch, budget=ir.Budget(calls=100))
    assert isinstance(done.result.cut, BudgetExceeded)
    with pytest.raises(BudgetExceeded):
        await run(monkeypatch, budget=ir.Budget(calls=10))


async def test_a_compile_keeps_what_is_saved_unless_it_is_clearly_worse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    thin = ir.StepSpec(name="thin", optimizer="Prune", options={"max_loss": 1.0})
    for reply, kept in ((indifferent, True), (oracle, True), (needs_the_rule, False)):
        made = project(tmp_path, thin, program=long())
        built, script, _ = await compiled(monkeypatch, tmp_path, made, reply)
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= script.calls <= planned.most
        assert isinstance(built.artifact.program, Program)
        less = prompt_tokens(built.artifact.program) < prompt_tokens(long())
        assert less is kept
        assert (built.steps[0].said or "").startswith("judged by what it saves; the score is ")


def test_sentences_are_the_text() -> None:
    found = ["Give label. ", "Be brief. ", "Mind the tone.\n", "- Know it.\n", "- Say so."]
    assert sentences(TOLD) == found
    assert sentences("") == []
    assert sentences("v1.2 is 3.5 times as fast! Yes?") == ["v1.2 is 3.5 times as fast! ", "Yes?"]


@given(st.text(alphabet="ab.!? \n。", max_size=40))
def test_no_character_of_a_text_is_lost(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_the_first_sentence_is_never_a_part() -> None:
    every = parts(long())
    assert len(every) == 12 + 4
    left = without(long(), every)
    assert instruction(left) == "Give label."
    assert left.predictors["ask"].demos == ()
    one = without(long(), [Removable("ask", True, 3)])
    assert instruction(one) == TOLD
    assert len(one.predictors["ask"].demos) == 11


def test_the_cost_formula() -> None:
    found = SPEC.calls(Options(SPEC, {}), Facts(train=40, val=50, predictors=1, calls_per_run=2))
    assert found.task.least == 100
    assert found.task.most == 2 * (50 + 4 * race(50).most(ARMS, 50)) <= 2 * (50 + 4 * 2.5 * 50 + 4)
