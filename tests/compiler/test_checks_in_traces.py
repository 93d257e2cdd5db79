"""Every place in which a program may hold an `assert` or a `suggest`: one that fails is in the record of the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from programs import Told, chat

from dspec.compiler.check.analysis import analyse
from dspec.runtime.errors import CheckFailed
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.trace import as_json

HEAD = """\
dspec 1

lm mini { model = "embedded/icl" }
extern look(query: str) -> str = http("http://localhost:9/look")
record Note { field text: str }
module ask = Predict(sig(question -> answer, ok: bool))

program Inner(question: str) -> (answer: str, ok: bool) {
  let one = ask(question = question)
  return answer = one.answer, ok = one.ok
}
"""
PLACES = {
    "a call": ("let a = ask(question = question)", 'a.answer == "no"', "a"),
    "through a value": ('let a = ask(question = question)\n  let b = a.answer + "!"', 'b == "no"', "a"),
    "an input": ("let a = ask(question = question)", 'question == "no"', "Outer"),
    "a tool's result": (
        "let a = ask(question = question)\n  let found = look(query = a.answer)",
        'found == "no"',
        "found",
    ),
    "a list": (
        "let many = [ask(question = q) for q in [question, question]]\n  let a = many[0]",
        '[one.answer for one in many] == ["no"]',
        "many",
    ),
    "a branch": (
        "let a = if len(question) > 0 then ask(question = question) else ask(question = question)",
        'a.answer == "no"',
        "a",
    ),
    "another program": ("let a = Inner(question = question)", 'a.answer == "no"', "a"),
    "a repetition": (
        "let c = ask(question = question)\n  let a = repeat 2 from c {\n"
        "    let c = ask(question = c.answer)\n  }",
        'a.answer == "no"',
        "a",
    ),
    "inside a repetition": (
        "let c = ask(question = question)\n  let a = repeat 2 from c {\n"
        "    let c = ask(question = c.answer)\n    CHECK\n  }",
        'c.answer == "no"',
        "a[0].c#1",
    ),
}


def program_with(kind: str, place: str, folder: Path) -> Program:
    before, condition, _ = PLACES[place]
    check = f'{kind} {condition} else "it must be no"'
    inside = "CHECK" in before
    body = before.replace("CHECK", check) if inside else f"{before}\n  {check}"
    text = f"{HEAD}\nprogram Outer(question: str) -> (answer: str) {{\n  {body}\n  return answer = a.answer\n}}\n"
    found = analyse(folder / "main.dspec", text=text, probe=False)
    errors = [one.message for one in found.diagnostics if one.severity == "error"]
    assert not errors, (errors, text)
    assert found.project is not None
    return found.project.programs["Outer"]


async def answer(request: Request) -> str:
    return chat(answer="yes", ok="true")


def asking() -> Told:
    return Told(answer, tools={"look": lambda query: query})


@pytest.mark.parametrize("place", PLACES)
async def test_a_suggest_that_does_not_hold_is_noted(place: str, tmp_path: Path) -> None:
    program = program_with("suggest", place, tmp_path)
    outcome = await run(program, {"question": "q"}, asking(), record=True)
    noted = [one for one in outcome.trace if "suggest not met: it must be no" in one.notes]
    assert PLACES[place][2] in {one.step for one in noted}
    assert "suggest not met: it must be no" in json.dumps(as_json(outcome.trace))


@pytest.mark.parametrize("place", PLACES)
async def test_an_assert_that_does_not_hold_is_noted(place: str, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed) as caught:
        await run(program_with("assert", place, tmp_path), {"question": "q"}, asking(), record=True)
    last = caught.value.trace[-1]
    assert last.notes == (f"failed: {caught.value.message}",)
    assert last.step == PLACES[place][2]
    assert any(one.predictor == "ask" for one in caught.value.trace)


async def test_a_compile_keeps_only_calls(tmp_path: Path) -> None:
    outcome = await run(program_with("suggest", "a list", tmp_path), {"question": "q"}, asking())
    assert [one.predictor for one in outcome.trace] == ["ask", "ask"]
    assert outcome.notes == ("suggest not met: it must be no",)
