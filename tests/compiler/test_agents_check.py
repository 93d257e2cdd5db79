"""Agents in a source: what a module of several calls is lowered to, and what `tune` and `freeze` mean by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from agents import several
from programs import const, module, question

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.optimizers.compat.students import as_dspy
from dspec.compiler.optimizers.frozen import freeze, tunable
from dspec.runtime.artifact.integrity import faults
from dspec.runtime.running.bounds import call_bounds
from dspec.runtime.running.strategies.base import Times, faithful
from dspec.runtime.schema.program import Reward

LENGTH = Reward(name="length", pred="pred", score=const(0.5))

SOURCE = """dspec 1

lm mini { model = "openai/gpt-4o-mini"; default = true }
lm large { model = "openai/gpt-4o" }

module look = Predict(sig(query -> found))
program both(query: str) -> (found: str) {
  let one = look(query = query)
  return found = one.found
}
module agent = ReAct(sig(text -> topic), tools = [look, both], max_iters = 4)

dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: str
  split { train = 50%; val = 50% }
}

metric right(gold: tickets, pred: agent) = gold.topic == pred.topic

optimize v1 {
  program = agent
  metric = right
  train = tickets.train
  val = tickets.val
  lm = large
  $STEP
}
"""


def project(folder: Path, step: str = "step LabeledFewShot(k = 2)") -> ir.Project:
    (folder / "dspec.toml").touch()
    (folder / "tickets.csv").write_text("text,topic\n" + "".join(f"message {n},a\n" for n in range(200)))
    path = folder / "main.dspec"
    path.write_text(SOURCE.replace("$STEP", step), encoding="utf-8")
    analysis = analyse(path)
    assert [one.message for one in analysis.diagnostics if one.severity == "error"] == []
    assert analysis.project is not None
    return analysis.project


def test_an_agent_is_a_module_with_what_it_calls(tmp_path: Path) -> None:
    found = project(tmp_path)
    agent = found.programs["agent"]
    assert list(agent.predictors) == ["agent.react", "agent.extract", "look"]
    assert agent.modules["agent"].tools == ("look", "both")
    assert list(agent.graphs) == ["both"]
    assert [one.name for one in agent.outputs] == ["reasoning", "topic"]
    assert list(faults(agent)) == []
    assert call_bounds(agent) == Times(2, 9)
    assert found.unbound["agent"] == ("look", "agent.react", "agent.extract")
    assert {one.lm for one in found.student("v1").predictors.values()} == {"large"}


@pytest.mark.parametrize(
    ("option", "frozen"),
    [
        ("", ()),
        ("freeze = [agent]", ("agent.react", "agent.extract")),
        ("freeze = [agent.react]", ("agent.react",)),
        ("tune = [agent]", ("look",)),
        ("tune = [agent.extract]", ("agent.react", "look")),
        ("tune = [both]", ("agent.react", "agent.extract")),
    ],
)
def test_what_a_name_freezes(tmp_path: Path, option: str, frozen: tuple[str, ...]) -> None:
    options = ", ".join(one for one in ("k = 2", option) if one)
    (step,) = project(tmp_path, f"step LabeledFewShot({options})").optimizes["v1"].steps
    assert step.frozen == frozen


TOOLS = """
extern find(query: str) -> str { "Finds."; source = python("tools:find") }
extern note(text: str) -> str { "Notes."; source = python("tools:note") }
extern used(text: str) -> str = python("tools:used")
module other = ReAct(sig(text -> label), tools = [find, note])
module agent = ReAct(sig(text, label -> topic), tools = [find], max_iters = 4)
program both(text: str) -> (topic: str) {
  let first = other(text = used(text = text))
  let last = agent(text = text, label = first.label)
  return topic = last.topic
}
"""
OTHER, AGENT = ("other.react", "other.extract"), ("agent.react", "agent.extract")


def with_tools(folder: Path, step: str) -> ir.StepSpec:
    (folder / "dspec.toml").touch()
    (folder / "tools.py").write_text("def find(query): ...\ndef note(text): ...\ndef used(text): ...\n")
    (folder / "tickets.csv").write_text("text,topic\n" + "".join(f"message {n},a\n" for n in range(200)))
    head, _, rest = SOURCE.partition("module look")
    text = head + TOOLS + "dataset" + rest.partition("dataset")[2].replace("agent", "both")
    path = folder / "main.dspec"
    path.write_text(text.replace("$STEP", step), encoding="utf-8")
    analysis = analyse(path)
    assert [one.message for one in analysis.diagnostics if one.severity == "error"] == []
    assert analysis.project is not None
    return analysis.project.optimizes["v1"].steps[-1]


@pytest.mark.parametrize(
    ("step", "frozen"),
    [
        ("step COPRO()", ()),
        ("step COPRO(freeze = [find])", ("find",)),
        ("step COPRO(freeze = [find, other.react])", ("other.react", "find")),
        ("step COPRO(tune = [find])", (*OTHER, *AGENT, "note")),
        # A module's name means the tools that it is told of as well; two modules may share one.
        ("step COPRO(freeze = [agent])", (*AGENT, "find")),
        ("step COPRO(freeze = [other])", (*OTHER, "find", "note")),
        ("step COPRO(tune = [agent])", (*OTHER, "note")),
        ("step COPRO(freeze = [agent.react])", ("agent.react",)),
        # What writes no descriptions has none to leave alone.
        ("step LabeledFewShot(k = 2, tune = [agent])", OTHER),
        ("step LabeledFewShot(k = 2, freeze = [find, agent.react])", ("agent.react",)),
        ('step COPRO(freeze = [find, agent.react], compat = "dspy")', ("agent.react",)),
        ('step BetterTogether(p = COPRO(), strategy = "p", freeze = [find])', ("find",)),
        ('step BetterTogether(p = LabeledFewShot(), strategy = "p", freeze = [find])', ()),
    ],
)
def test_what_a_tools_name_freezes(tmp_path: Path, step: str, frozen: tuple[str, ...]) -> None:
    assert with_tools(tmp_path, step).frozen == frozen


def test_a_step_on_dspys_schedule_has_dspys_modules() -> None:
    refined = several("Refine", more=module(question()), runs="module", reward=LENGTH, n=2, threshold=0.5)
    student = as_dspy(refined)
    assert faithful(student.modules["m"])
    assert list(tunable(student)) == ["module"]
    assert list(faults(student)) == []
    assert list(tunable(as_dspy(freeze(refined, ["module"])))) == []
    assert as_dspy(module(question())) == module(question())
