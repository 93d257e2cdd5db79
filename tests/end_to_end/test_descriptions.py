"""A tool's description, tuned by `dspc compile` against a server on loopback: shown, saved, and read by the agent of an
application; and kept where the file says so."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from dspc import Result, dspc
from prompts import read
from server import Call, FakeServer

from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.schema.program import Program

PROJECT = """\
dspec 1

lm model { model = "openai/agent"; api_base = env("AGENT_URL"); api_key = env("AGENT_KEY") }

extern lookup(query: str) -> str { "Looks something up."; source = python("tools:lookup"); pure = true }

signature Route { "Give the label."; input text: str; output label: str }
module route = ReAct(Route, tools = [lookup], max_iters = 2)

dataset texts {
  source = jsonl("data/texts.jsonl")
  input text: str
  field label: str
  split { train = 12; val = 24 }
}

metric right(gold: texts, pred: route) {
  score = gold.label == pred.label
  feedback = "the label is " + gold.label
}

optimize tuned {
  program = route; metric = right; train = texts.train; val = texts.val
  $SETTING
  step words = $STEP
}
"""
GEPA, COPRO = "GEPA(max_metric_calls = 150)", "COPRO(breadth = 5, depth = 2)"
SKILL = re.compile(r"skill (\d+)")


def model(call: Call) -> str:
    """The agent asks for a group by its bare name on as many rows as the tool's description has skill."""
    asked = read(call.body["messages"])
    if "description" in asked.outputs:
        said = {"description": f"Use skill {50 + int(call.digest, 16) % 50}, {call.digest}."}
    elif "instruction" in asked.outputs:
        said = {"instruction": f"Give it, {call.digest}."}
    elif "label" in asked.outputs:
        found = re.search(r"it is (L\d+)", asked.inputs["trajectory"])
        said = {"reasoning": "so", "label": found[1] if found else "L?"}
    else:
        listed = next(line for line in asked.instruction.splitlines() if line.startswith("- lookup: "))
        found = SKILL.search(listed)
        knows = int(asked.inputs["text"].split()[1]) * 37 % 100 < (int(found[1]) if found else 20)
        look = knows and asked.inputs["trajectory"] == "[]"
        group = asked.inputs["text"].rpartition("g")[2]
        said = {
            "next_thought": "so",
            "next_tool_name": "lookup" if look else "finish",
            "next_tool_args": json.dumps({"query": group} if look else {}),
        }
    return "\n\n".join(f"[[ ## {name} ## ]]\n{text}" for name, text in said.items())


def project(folder: Path, step: str, setting: str = "") -> None:
    (folder / "data").mkdir()
    (folder / "dspec.toml").touch()
    (folder / "tools.py").write_text('def lookup(query: str) -> str:\n    return f"it is L{query}"\n')
    rows = [{"text": f"row {i} of g{i % 5}", "label": f"L{i % 5}"} for i in range(36)]
    (folder / "data" / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = PROJECT.replace("$STEP", step).replace("$SETTING", setting)
    (folder / "main.dspec").write_text(text, encoding="utf-8")


async def run(folder: Path, server: FakeServer, *arguments: str) -> Result:
    return await asyncio.to_thread(
        dspc, *arguments, cwd=folder, AGENT_URL=server.url, AGENT_KEY="none", NO_PROXY="*"
    )


def program_of(folder: Path) -> Program:
    found = read_artifact(folder / "compiled" / "tuned.dspc.json").program
    assert isinstance(found, Program)
    return found


@pytest.mark.parametrize("step", [GEPA, COPRO], ids=["GEPA", "COPRO"])
async def test_a_compile_finds_a_better_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    project(tmp_path, step)
    async with FakeServer(model) as server:
        done = await run(tmp_path, server, "compile", "main.dspec")
        assert done.code == 0, done.text
        found = program_of(tmp_path).tools["lookup"].description
        assert found.startswith("Use skill ")
        assert f'`lookup` is described as "{found}"; it was "Looks something up."' in " ".join(
            done.text.split()
        )
        shown = await run(tmp_path, server, "show", "compiled/tuned.dspc.json")
        assert f"lookup  a tool from python\n  {found}" in shown.text

        monkeypatch.setenv("AGENT_URL", server.url)
        monkeypatch.setenv("AGENT_KEY", "none")
        before = len(server.calls)
        loaded = load(
            tmp_path / "compiled" / "tuned.dspc.json", tools={"lookup": lambda query: f"it is L{query}"}
        )
        answer = await loaded.acall(text="row 1 of g3")
        assert answer.label == "L3"
        assert found.rstrip(".") in str(server.calls[before].body["messages"][0])


@pytest.mark.parametrize("step", [GEPA, COPRO], ids=["GEPA", "COPRO"])
async def test_frozen_it_stays(tmp_path: Path, step: str) -> None:
    project(tmp_path, step, "freeze = [lookup]")
    async with FakeServer(model) as server:
        done = await run(tmp_path, server, "compile", "main.dspec")
        assert done.code == 0, done.text
        assert program_of(tmp_path).tools["lookup"].description == "Looks something up."
        assert not any("description" in read(call.body["messages"]).outputs for call in server.calls)
