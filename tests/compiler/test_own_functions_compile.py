"""Every optimizer, the plan, threads and a stop on a module that is a function of the project."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from building import compiled, gain, loaded_again, plan_of, project
from every_step import CASES, GEPA, Case, step, writes, writes_by_question
from scripted import FAKE, Asked, group, jitter

from dspec.compiler import ir
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.compile.built import Built
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.running.strategies.offering import offered
from dspec.runtime.schema.program import Program
from dspec.runtime.tools.toolbox import Toolbox

TEXT = """\
dspec 1

lm fake { model = "embedded/icl" }
signature Route { input text: str; output label: str; assert label != "" else "say something" }
module summarize = Predict(sig(text, part: int -> gist))
module decide = Predict(sig(text, gist -> label))
module router = python("forward:route", Route, uses = [summarize, decide], max_calls = 4, timeout = 20)
"""
FUNCTION = """\
import asyncio

async def route(text: str, call) -> dict:
    gists = await asyncio.gather(*(call("summarize", text=text, part=part) for part in range(2)))
    found = {"label": "L?"}
    for one in gists:
        found = await call("decide", text=text, gist=one["gist"])
        if found["label"] != "L?":
            break
    return found
"""


def checked(folder: Path) -> Analysis:
    (folder / "forward.py").write_text(FUNCTION, encoding="utf-8")
    found = analyse(folder / "main.dspec", text=TEXT, probe=False)
    assert not found.diagnostics
    return found


def functional(folder: Path) -> tuple[Program, ir.Project]:
    made = checked(folder).project
    assert made is not None
    return made.programs["router"].with_lms({"fake": FAKE}), made


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Toolbox]:
    """As a command has it: the function runs in processes of its own, because the source declares it."""
    _, made = functional(tmp_path)
    async with Toolbox(tmp_path, declared=made.externs.values(), isolated=True) as toolbox:
        yield toolbox


def model(asked: Asked) -> Mapping[str, object]:
    """Knows the groups whose rows it is shown, and some of the others in its second try."""
    text = asked.question["text"]
    shown = any(group(demo["text"]) == group(text) for demo, _ in asked.demos if "text" in demo)
    number = int(text.split()[1])
    right = shown or number % 3 == 0 or (number % 3 == 1 and asked.question.get("gist") == "part 1")
    return {"label": f"L{group(text)}" if right else "L?", "gist": f"part {asked.question.get('part', 0)}"}


STEPS: dict[str, Case] = {**CASES, "GEPA": GEPA}


async def tune(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tools: Toolbox, name: str, program: Program
) -> Built:
    """One step, its calls against its plan, and its artifact against what it scored."""
    made = project(folder, STEPS[name].step, program=program)
    planned = plan_of(made, "tuned", folder)
    reply = writes(model)
    built, script, _ = await compiled(monkeypatch, folder, made, reply, tools=tools)
    assert planned.least <= len(script.asked) <= planned.most
    tuned = built.artifact.program
    assert isinstance(tuned, Program)
    assert (tuned.modules.keys(), tuned.tools) == (program.modules.keys(), program.tools)
    if "LabeledFewShot" not in name:
        result = await loaded_again(monkeypatch, folder, made, built, reply, tools)
        assert built.final is not None
        assert result.program.score == built.final.score
    return built


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STEPS))
async def test_every_optimizer_tunes_what_it_uses_within_its_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    program, _ = functional(tmp_path)
    given: dict[str, Any] = {}
    exec(FUNCTION, given)
    async with Toolbox(tmp_path, functions={"router": given["route"]}) as tools:
        await tune(monkeypatch, tmp_path, tools, name, program)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BootstrapFewShot", "MIPROv2", "GEPA"])
async def test_they_do_with_the_function_in_processes_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: Toolbox, name: str
) -> None:
    program, _ = functional(tmp_path)
    built = await tune(monkeypatch, tmp_path, tools, name, program)
    if name == "BootstrapFewShot":
        assert gain(built) > 0
        assert isinstance(built.artifact.program, Program)
        decide = built.artifact.program.predictors["decide"]
        assert decide.demos[0].inputs.keys() == {"text", "gist"}


async def test_threads_and_latency_change_no_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: Toolbox
) -> None:
    program, _ = functional(tmp_path)
    made = project(tmp_path, STEPS["RandomSearch"].step, step("MIPROv2"), program=program)
    texts: set[str] = set()
    for threads in (1, 64):
        built, *_ = await compiled(
            monkeypatch,
            tmp_path,
            made,
            writes_by_question(model),
            threads=threads,
            latency=jitter(threads, 0.0005),
            tools=tools,
        )
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1


async def test_what_it_uses_is_frozen_by_its_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: Toolbox
) -> None:
    program, _ = functional(tmp_path)
    assert list(program.predictors) == ["summarize", "decide"]
    frozen = step("BootstrapFewShot", max_labeled_demos=4).model_copy(update={"frozen": ("summarize",)})
    made = project(tmp_path, frozen, program=program)
    built, *_ = await compiled(monkeypatch, tmp_path, made, model, tools=tools)
    assert isinstance(built.artifact.program, Program)
    assert not built.artifact.program.predictors["summarize"].demos
    assert built.artifact.program.predictors["decide"].demos


async def test_a_second_compile_asks_for_nothing_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: Toolbox
) -> None:
    program, _ = functional(tmp_path)
    made = project(tmp_path, STEPS["RandomSearch"].step, program=program)
    texts: list[str] = []
    for most in (10_000, 0):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            built, script, _ = await compiled(
                monkeypatch, tmp_path, made, writes_by_question(model), ledger=ledger, tools=tools
            )
        assert len(script.asked) <= most
        texts.append(artifact_text(built.artifact))
    assert texts[0] == texts[1]


def test_the_plan_says_what_a_run_calls(tmp_path: Path) -> None:
    program, _ = functional(tmp_path)
    planned = plan_of(project(tmp_path, step("BootstrapFewShot"), program=program), "tuned", tmp_path)
    notes = "\n".join(planned.notes)
    assert "a run makes 0 to 4 model calls" in notes
    assert "the function of the module `router`" in notes


def test_what_is_lowered_names_the_function_and_what_it_uses(tmp_path: Path) -> None:
    program, made = functional(tmp_path)
    module = program.modules["router"]
    tool = made.externs["router"]
    assert program.tools == {"router.function": tool}
    assert (module.tools, module.options) == (("summarize", "decide"), {"max_calls": 4})
    assert module.function is not None
    assert module.function.names == ("summarize", "decide")
    assert len(module.function.checks) == 1
    assert offered(program, "router").description == tool.description == "From `text`, produce `label`."
    assert (tool.timeout, tool.max_parallel, tool.options["function"]) == (20, 16, "forward:route")
