"""Answers that were cut off, guessed at or unreadable: never shown in a demo, and counted in what a compile reports."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from building import compiled, project
from rich.console import Console
from scripted import Asked, classifier, group, jitter, learner
from stepping import step

from dspec.compiler.cli.results import draw_flaws
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.models.protocol import Answer
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import OneOf
from dspec.runtime.schema.usage import Flaws, Usage

OPTIMIZERS = (
    ("BootstrapFewShot", {"max_bootstrapped_demos": 4, "max_labeled_demos": 0}),
    (
        "BootstrapFewShotWithRandomSearch",
        {"max_bootstrapped_demos": 3, "max_labeled_demos": 0, "num_candidate_programs": 2},
    ),
    ("KNNFewShot", {"k": 3, "max_bootstrapped_demos": 2, "max_labeled_demos": 0}),
    ("SIMBA", {"max_demos": 3, "max_steps": 2, "bsize": 6, "num_candidates": 2}),
)


def labels() -> Program:
    """A classifier whose label is one of a few."""
    program = classifier()
    asked = program.predictors["ask"]
    (label,) = asked.signature.outputs
    kind = OneOf(values=("L0", "L1", "L2"))
    signature = asked.signature.model_copy(update={"outputs": (label.model_copy(update={"type": kind}),)})
    changed = asked.model_copy(update={"signature": signature})
    return program.model_copy(update={"predictors": {"ask": changed}, "outputs": signature.outputs})


def text_of(asked: Asked) -> str:
    """The row's text; a correction shows it further up."""
    said = [one.content for one in asked.request.messages if one.content.startswith("[[ ## text ## ]]")]
    return said[-1].splitlines()[1]


def right(asked: Asked) -> str:
    return f"L{group(text_of(asked))}"


def guessed(asked: Asked) -> str:
    return f"[[ ## label ## ]]\n{right(asked)}, because the text says so\n\n[[ ## completed ## ]]"


def stopped(asked: Asked) -> Answer:
    return Answer(f"[[ ## label ## ]]\n{right(asked)}", Usage(9, 9), None, "length")


def sometimes(asked: Asked) -> str | Mapping[str, object]:
    """A guess on every other row, and a plain answer on the rest."""
    number = int(text_of(asked).split()[1])
    return guessed(asked) if number % 2 else {"label": right(asked)}


def shown(program: Program) -> list[object]:
    return [demo for one in program.predictors.values() for demo in one.demos]


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS, ids=[name for name, _ in OPTIMIZERS])
@pytest.mark.parametrize("reply", [guessed, stopped], ids=["guessed", "cut off"])
async def test_no_such_answer_becomes_a_demo(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, options: dict[str, int], reply: object
) -> None:
    done = await step(monkeypatch, optimizer, reply, student=labels(), **options)  # type: ignore[arg-type]
    assert not shown(done.program)
    flaws = done.spent.flaws
    assert (flaws.repaired > 0, flaws.cut > 0) == (reply is guessed, reply is stopped)
    assert flaws.total == done.script.calls


@pytest.mark.parametrize("compat", [None, "dspy"])
async def test_the_next_row_is_tried_instead(monkeypatch: pytest.MonkeyPatch, compat: object) -> None:
    done = await step(
        monkeypatch,
        "BootstrapFewShot",
        sometimes,
        student=labels(),
        compat=compat,  # type: ignore[arg-type]
        max_bootstrapped_demos=4,
        max_labeled_demos=0,
    )
    numbers = [int(str(demo["text"]).split()[1]) for demo in done.demos()]
    assert len(numbers) == 4
    assert not any(number % 2 for number in numbers)


async def test_an_answer_that_was_asked_for_again_may_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(asked: Asked) -> Answer | Mapping[str, object]:
        return stopped(asked) if asked.question else {"label": right(asked)}

    options = {"max_bootstrapped_demos": 2, "max_labeled_demos": 0}
    done = await step(monkeypatch, "BootstrapFewShot", twice, student=labels(), **options)
    assert len(shown(done.program)) == 2
    assert done.spent.flaws.cut == done.script.calls / 2


async def test_a_compile_counts_them_the_same_however_answers_arrive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path).model_copy()
    first, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    assert first.spent.flaws == Flaws()
    assert "answers" not in json.loads(artifact_text(first.artifact))["provenance"]

    def cutting(asked: Asked) -> Answer | Mapping[str, object]:
        if not asked.question:
            return {"label": right(asked)}
        answer = learner(asked)
        if int(text_of(asked).split()[1]) % 3:
            return answer
        return Answer(f"[[ ## label ## ]]\n{answer['label']}", Usage(9, 9), None, "length")

    texts = {
        artifact_text(
            (await compiled(monkeypatch, tmp_path, made, cutting, latency=jitter(seed)))[0].artifact
        )
        for seed in range(3)
    }
    assert len(texts) == 1
    assert json.loads(texts.pop())["provenance"]["answers"]["cut"] > 0


def test_the_report_says_what_was_wrong() -> None:
    def said(flaws: Flaws) -> str:
        out = io.StringIO()
        draw_flaws(Console(file=out, width=200), "answers: ", flaws)
        return out.getvalue()

    assert said(Flaws()) == ""
    assert said(Flaws(1200, 2, 3)) == (
        "answers: 1,200 cut off (a larger `max_tokens` leaves more room), 2 with something that had to be guessed, "
        "3 that could not be read; no demo shows any of these\n"
    )
