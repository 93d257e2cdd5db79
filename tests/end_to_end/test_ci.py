"""What CI takes from here: JUnit of evals, the hooks of pre-commit, and the action's steps on real outputs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import published
import pytest
import yaml
from dspc import dspc

from dspec.compiler.cli import outputs

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    assert dspc("init", cwd=folder).code == 0
    assert dspc("compile", "main.dspec", "--no-evals", cwd=folder).code == 0
    return folder


def test_evals_as_junit(project: Path) -> None:
    done = dspc("eval", "main.dspec", "--junit", "out.xml", "--json", cwd=project)
    assert done.code == 0, done.text
    score = json.loads(done.out)["evals"][0]
    suite = ElementTree.parse(project / "out.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.attrib == {"name": "eval held_out", "tests": "2", "failures": "0", "errors": "0"}
    assert [case.get("name") for case in suite] == ["held_out", "gate score >= baseline.score"]
    assert f"score {score['score']} on {score['n']} rows" in (suite[0].findtext("system-out") or "")

    source = project / "main.dspec"
    text = source.read_text(encoding="utf-8")
    try:
        source.write_text(
            text.replace("gate score >= baseline.score", "gate score >= 0.999"), encoding="utf-8"
        )
        failed = dspc("eval", "main.dspec", "--junit", "out.xml", cwd=project)
        walled = dspc("eval", "main.dspec", "--junit", "cut.xml", "--budget", "calls=1", cwd=project)
    finally:
        source.write_text(text, encoding="utf-8")
    assert failed.code == 1
    failure = ElementTree.parse(project / "out.xml").getroot().find(".//failure")
    assert failure is not None
    assert "score" in failure.attrib["message"]
    if walled.code == 3:  # nothing is asked where all is known
        assert ElementTree.parse(project / "cut.xml").getroot().find(".//error") is not None
    assert dspc("eval", "main.dspec", "--junit", "main.dspec/x.xml", cwd=project).code == 2


def test_hooks_run_as_they_are_declared(project: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == ["dspc-check", "dspc-fmt"]
    for hook in hooks:
        command = hook["entry"].split()[1:]
        files = [name for name in ("main.dspec", "README.md") if re.search(hook["files"], name)]
        assert files == ["main.dspec"]
        done = dspc(*command, *(files if hook.get("pass_filenames", True) else ()), cwd=project)
        assert done.code == 0, done.text


def steps() -> list[dict[str, Any]]:
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]


def test_the_action_puts_no_text_of_others_into_its_scripts() -> None:
    for step in steps():
        assert "${{" not in step.get("run", ""), (
            "an input is given by the environment, never pasted into a script"
        )


def test_the_commands_of_the_action_are_there(project: Path) -> None:
    known = dspc("--help", cwd=project).out
    for script in (step["run"] for step in steps() if "run" in step):
        for command, rest in re.findall(r"\bdspc (check|plan|eval)\b([^\n>|]*)", script):
            assert command in known
            for option in re.findall(r"--[a-z]+", rest):
                assert option in dspc(command, "--help", cwd=project).out


def test_the_comment_tells_cost_and_change(project: Path, tmp_path: Path) -> None:
    for name, command in (
        ("plan", ("plan", "--json", "--", "main.dspec", "sorter_v1")),
        ("eval", ("eval", "--json", "--budget", "usd=1", "--", "main.dspec", "held_out")),
    ):
        done = dspc(*command, cwd=project)
        assert done.code == 0, done.text
        (tmp_path / f"{name}.json").write_text(done.out, encoding="utf-8")
    base = json.loads((tmp_path / "eval.json").read_text(encoding="utf-8"))
    score = base["evals"][0]["score"]
    base["evals"][0]["score"] = score - 0.1
    (tmp_path / "base.json").write_text(json.dumps(base), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "action_comment.py", tmp_path],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert "### Plan of `sorter_v1`" in done.stdout
    assert f"Score {100 * score:.1f} on 46 rows" in done.stdout
    assert ": +10.0." in done.stdout
    assert "gate holds: `score >= baseline.score`" in done.stdout


def test_schemas_are_current() -> None:
    """What other commands write is held against theirs where it is tested: `published.read`."""
    there = {path.name.partition(".")[0] for path in published.SCHEMAS.iterdir()}
    assert there == set(outputs.SCHEMAS)
    for name in there:
        assert published.schema_text(name) == outputs.schema_text(name), "run dev.py generate"


@pytest.mark.parametrize(("name", "command"), [("plan", "plan"), ("evals", "eval")])
def test_a_schema_holds_for_what_is_written(name: str, command: str, project: Path) -> None:
    done = dspc(command, "main.dspec", "--json", cwd=project)
    assert done.code == 0, done.text
    assert published.read(name, done.out)
