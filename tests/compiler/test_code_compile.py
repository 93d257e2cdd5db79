"""Optimizers on modules whose models write code: what they tune, within the plan, and that a repetition is the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from building import compiled, loaded_again, plan_of, project
from every_step import CASES, GEPA, Case, writes_by_question
from scripted import FAKE, Asked, group

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.declarations import coding
from dspec.compiler.compile.built import Built
from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import artifact_text, read_artifact, write_artifact
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.schema.program import Program
from dspec.runtime.tools import sandbox

HEAD = """\
dspec 1

lm fake { model = "openai/gpt-4o-mini"; max_tokens = 500; default = true }
lm small { model = "openai/gpt-4o-nano"; max_tokens = 200 }
signature Route { "Say the group."; input text: str; output label: str; assert label != "" else "say something" }
module look = Predict(sig(part -> found))
"""
MODULES = {
    "ProgramOfThought": "ProgramOfThought(Route, max_iters = 2, max_output = 200)",
    "CodeAct": "CodeAct(Route, tools = [look], max_iters = 2, max_calls = 2, max_given = 200, max_output = 200)",
    "RLM": "RLM(Route, tools = [look], sub_lm = small, max_iters = 2, max_llm_calls = 2, max_calls = 1, max_given = 200)",
}
STEPS: dict[str, Case] = {**CASES, "GEPA": GEPA}


def checked(folder: Path, text: str) -> Analysis:
    (folder / "dspec.toml").touch()
    return analyse(folder / "main.dspec", text=HEAD + text, probe=False)


def coded(folder: Path, strategy: str) -> Program:
    found = checked(folder, f"module router = {MODULES[strategy]}\n")
    assert not found.diagnostics
    assert found.project is not None
    program = found.project.programs["router"]
    return program.with_lms({name: FAKE.model_copy(update={"name": name}) for name in program.lms})


def row_of(fields: Mapping[str, str]) -> str:
    """The row that a prompt or a demo is about, whether it shows it whole or says what a variable holds."""
    return (fields.get("text") or fields.get("variables_info") or "row 0 of g0").splitlines()[-1]


def model(asked: Asked) -> Mapping[str, object]:
    """Knows the groups whose rows it is shown, and every third of the others; every fourth code fails at first."""
    row = row_of(asked.question)
    number = int(row.split()[1])
    shown = any(group(row_of(demo)) == group(row) for demo, _ in asked.demos)
    label = f"L{group(row)}" if shown or number % 3 == 0 else "L?"
    history = asked.question.get("trajectory") or asked.question.get("repl_history") or ""
    fails = number % 4 == 1 and not asked.question.get("error") and "1 / 0" not in history
    calls = "look(part=text[:9])\n" if "trajectory" in asked.question else ""
    if "repl_history" in asked.question:
        calls = "look(part=text[:9])\nllm_query_batched([text, text])\n"
    gives = repr(label) if "trajectory" in asked.question else f"submit(label={label!r})"
    code = "1 / 0" if fails else calls + gives
    return {
        "generated_code": code,
        "code": code,
        "reasoning": "as the row says",
        "finished": "false" if fails else "true",
        "found": "x",
        "response": "y",
        "label": label,
    }


WRITTEN = {"generated_code", "code", "found", "response", "label"}


def reply(asked: Asked) -> Mapping[str, object] | str | Exception:
    """The same model, which also writes what optimizers ask for."""
    return model(asked) if WRITTEN & {*asked.wanted} else writes_by_question(model)(asked)


async def tuned(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, program: Program, *, threads: int = 16
) -> Built:
    """One step, its calls against its plan, and its artifact against what it scored."""
    made = project(folder, STEPS[name].step, program=program)
    planned = plan_of(made, "tuned", folder)
    built, script, _ = await compiled(monkeypatch, folder, made, reply, threads=threads)
    assert planned.least <= len(script.asked) <= planned.most
    assert built.final is not None
    result = await loaded_again(monkeypatch, folder, made, built, reply, None)
    assert result.program.score == built.final.score
    return built


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BootstrapFewShot", "MIPROv2", "GEPA"])
@pytest.mark.parametrize("strategy", sorted(MODULES))
async def test_optimizers_tune_what_writes_code_within_their_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strategy: str, name: str
) -> None:
    built = await tuned(monkeypatch, tmp_path, name, coded(tmp_path, strategy))
    result = built.artifact.program
    assert isinstance(result, Program)
    if name == "BootstrapFewShot":
        role = "generate" if strategy == "ProgramOfThought" else "act"
        assert any(demo.augmented for demo in result.predictors[f"router.{role}"].demos)


async def test_the_artifact_is_the_same_at_any_parallelism(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    texts: list[str] = []
    for threads in (1, 16):
        folder = tmp_path / str(threads)
        folder.mkdir()
        built = await tuned(
            monkeypatch, folder, "BootstrapFewShot", coded(folder, "CodeAct"), threads=threads
        )
        texts.append(artifact_text(built.artifact))
    assert texts[0] == texts[1]


def test_questions_go_to_the_model_that_is_named(tmp_path: Path) -> None:
    found = checked(tmp_path, f"module router = {MODULES['RLM']}\n")
    assert found.project is not None
    program = found.project.programs["router"]
    assert {role: program.predictors[f"router.{role}"].lm for role in ("act", "query", "extract")} == {
        "act": "fake",
        "query": "small",
        "extract": "fake",
    }


def test_what_cannot_write_or_run_code_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'lm own {{ model = "embedded/icl" }}\nmodule router = {MODULES["RLM"].replace("small", "own")}\n'
    assert [one.code for one in checked(tmp_path, text).diagnostics] == ["DS0651"]
    monkeypatch.setattr(coding, "installed", lambda: False)
    text = f"module router = {MODULES['CodeAct']}\n"
    (finding,) = checked(tmp_path, text).diagnostics
    assert finding.code == "DS0650"
    assert finding.help == "pip install 'dspc[sandbox]'"


async def test_an_artifact_is_not_loaded_without_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = await tuned(monkeypatch, tmp_path, "BootstrapFewShot", coded(tmp_path, "ProgramOfThought"))
    path = tmp_path / "router.dspc.json"
    write_artifact(path, built.artifact)
    assert read_artifact(path).program == built.artifact.program
    monkeypatch.setattr(sandbox, "installed", lambda: False)
    with pytest.raises(ConfigurationError, match="`router` runs code") as error:
        load(path)
    assert error.value.help == "pip install 'dspc[sandbox]'"
