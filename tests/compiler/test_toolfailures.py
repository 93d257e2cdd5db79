"""What is told of tools that failed: how often, where they are declared, and why."""

from __future__ import annotations

import itertools
from pathlib import Path

from dspec.compiler.check.analysis import analyse
from dspec.compiler.evaluate.toolfailures import ToolFailure, ToolFailures
from dspec.runtime.schema.trace import TraceStep

LIBRARY = """dspec 1
extern shout(text: str) -> str = python("loud:shout")
"""
MAIN = """dspec 1
import "lib.dspec" as lib
extern own(text: str) -> str = python("loud:shout")
program Loud(text: str) -> (text: str) {
  let one = lib.shout(text = text)
  let two = own(text = one)
  return text = two
}
"""


def called(tool: str, error: str = "") -> TraceStep:
    return TraceStep("step", "", {}, {"error": error} if error else {"result": "x"}, 0, tool=tool)


def test_how_often_and_the_commonest_reason_in_any_order() -> None:
    runs = [([called("a", "slow")], True), ([called("a", "gone"), called("b")], False)]
    runs += [([called("a", "slow"), called("c", "once"), called("b", "late")], True)]
    told: set[tuple[ToolFailure, ...]] = set()
    for order in itertools.permutations(runs):
        failures = ToolFailures()
        for trace, ended in order:
            failures.add(trace, ended=ended)
        assert failures.ended == 2
        told.add(failures.found({"a": "main.dspec:3"}))
    (found,) = told
    assert [(one.tool, one.always) for one in found] == [("a", True), ("b", False), ("c", True)]
    assert [one.said for one in found] == [
        '`a` (main.dspec:3) failed in all 3 calls; for example: "slow"',
        '`b` failed in 1 of 2 calls; for example: "late"',
        '`c` failed in its only call; for example: "once"',
    ]


def test_the_places_of_tools_are_by_the_names_that_programs_call_them_by(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "loud.py").write_text("def shout(text: str) -> str:\n    return text\n")
    (tmp_path / "lib.dspec").write_text(LIBRARY)
    (tmp_path / "main.dspec").write_text(MAIN)
    project = analyse(tmp_path / "main.dspec").project
    assert project is not None
    assert project.places == {"own": "main.dspec:3", "lib.shout": "lib.dspec:2"}
    assert project.programs["Loud"].tools.keys() == project.places.keys()
