"""Every optimizer, an eval, a saved artifact and any number of threads on a program with branches, fan-outs, rounds
and another program in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from building import compiled, loaded_again, plan_of, project
from every_step import CASES, GEPA, Case, step, writes, writes_by_question
from scripted import FAKE, Asked, group, jitter

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.optimizers.proposing.outline import outline
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program

TEXT = """\
dspec 1

lm fake { model = "embedded/icl" }
module summarize = Predict(sig(text, part: int -> gist))
module decide = Predict(sig(text, gist -> label))
module improve = Predict(sig(text, gist, before -> label))

program Careful(text: str, gist: str) -> (label: str) {
  let first = decide(text = text, gist = gist)
  let out = if first.label == "L?" then decide(text = text, gist = gist + "!") else first
  return label = out.label
}

program Router(text: str) -> (label: str) {
  let gists = [summarize(text = text, part = i) for i in range(2)]
  let gist = join(unique([g.gist for g in gists]))
  let out = if len(gists[0].gist) > 8 then decide(text = text, gist = gist) else Careful(text = text, gist = gist)
  let final = repeat 2 from out {
    let better = improve(text = text, gist = gist, before = out.label)
    until better.label == out.label
    let out = improve(text = text, gist = gist, before = better.label)
  }
  return label = final.label
}
"""


def nested(folder: Path) -> Program:
    found = analyse(folder / "main.dspec", text=TEXT, probe=False)
    assert not found.diagnostics
    assert found.project is not None
    return found.project.programs["Router"].with_lms({"fake": FAKE})


def model(asked: Asked) -> Mapping[str, object]:
    """Knows the groups whose rows it is shown, and changes its mind about some of the others."""
    text = asked.question["text"]
    shown = any(group(demo["text"]) == group(text) for demo, _ in asked.demos if "text" in demo)
    number = int(text.split()[1])
    right = shown or number % 3 == 0 or ("before" in asked.question and number % 2 == 0)
    gist = f"about {group(text)}" if number % 4 else f"{asked.question.get('part', 0)} of {text}"
    return {"label": f"L{group(text)}" if right else "L?", "gist": gist}


STEPS: dict[str, Case] = {**CASES, "GEPA": GEPA}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STEPS))
async def test_every_optimizer_tunes_it_within_its_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    program = nested(tmp_path)
    made = project(tmp_path, STEPS[name].step, program=program)
    planned = plan_of(made, "tuned", tmp_path)
    reply = writes(model)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, reply)
    assert planned.least <= len(script.asked) <= planned.most
    assert any("a run makes 4 to 8 model calls" in note for note in planned.notes)
    tuned = built.artifact.program
    assert isinstance(tuned, Program)
    assert tuned.steps == program.steps
    assert tuned.graphs == program.graphs
    if "LabeledFewShot" not in name:
        result = await loaded_again(monkeypatch, tmp_path, made, built, reply)
        assert built.final is not None
        assert result.program.score == built.final.score


async def test_threads_and_latency_change_no_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, STEPS["RandomSearch"].step, step("MIPROv2"), program=nested(tmp_path))
    texts: set[str] = set()
    for threads in (1, 4, 64):
        built, *_ = await compiled(
            monkeypatch,
            tmp_path,
            made,
            writes_by_question(model),
            threads=threads,
            latency=jitter(threads, 0.0005),
        )
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1


async def test_predictors_of_a_called_program_are_tuned_and_frozen_by_their_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = nested(tmp_path)
    assert list(program.predictors) == ["summarize", "decide", "improve"]
    frozen = step("BootstrapFewShot", max_labeled_demos=4).model_copy(update={"frozen": ("decide",)})
    built, *_ = await compiled(monkeypatch, tmp_path, project(tmp_path, frozen, program=program), model)
    assert isinstance(built.artifact.program, Program)
    predictors = built.artifact.program.predictors
    assert not predictors["decide"].demos
    assert predictors["improve"].demos


async def test_an_ensemble_of_them_votes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    search = STEPS["RandomSearch, full"].step.model_copy(update={"name": "search"})
    vote = ir.StepSpec(
        name="vote",
        optimizer="Ensemble",
        options={"reduce": {"kind": "majority", "field": "label"}},
        members=(ir.MemberRef(program="search", candidates=True, top=2),),
    )
    made = project(tmp_path, search, vote, program=nested(tmp_path))
    planned = plan_of(made, "tuned", tmp_path)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, model)
    assert isinstance(built.artifact.program, Ensemble)
    assert planned.least <= len(script.asked) <= planned.most


def test_a_proposer_is_told_of_rounds_lists_branches_and_the_called_program(tmp_path: Path) -> None:
    text = outline(nested(tmp_path))
    for part in ("`gists` is made for each", "`out` is one of two", "`final` improves `out`", "`Careful`"):
        assert part in text
