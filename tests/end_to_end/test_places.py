"""Folders, locales and names that `dspc` meets: what it does there, or what to do about it; never a bug report."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from dspc import DSPC, dspc

ASCII = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}
COMMANDS = ("check", "plan", "compile", "show", "eval", "advise")


def started(folder: Path) -> Path:
    assert dspc("init", folder, cwd=folder.parent).code == 0
    return folder


@pytest.mark.parametrize("way", ["a file", "below a file", "no folder can be made"])
def test_init_where_nothing_can_be_put(way: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    folder = {"a file": file, "below a file": file / "x"}.get(way, Path("/proc/nothing"))
    result = dspc("init", folder, cwd=tmp_path)
    assert result.code == 2, result.text
    assert "no project can be put into" in result.err
    assert "dspc init my-project" in result.err
    assert file.read_text() == "kept"


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = started(tmp_path / "project").rename(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff"))
    environment = {**os.environ, "NO_COLOR": "1"}
    for command in (*(f"{name} main.dspec" for name in COMMANDS), "compile main.dspec --json", "cache info"):
        done = subprocess.run(
            [str(DSPC), *command.split()], cwd=folder, capture_output=True, check=False, env=environment
        )
        assert done.returncode == 0, (command, done.stderr)
        assert b"DS0000" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_locale_of_ascii(tmp_path: Path) -> None:
    folder = started(tmp_path / "project")
    (folder / "data" / "feedback.csv").rename(folder / "data" / "réactions.csv")
    source = (folder / "main.dspec").read_text(encoding="utf-8")
    (folder / "main.dspec").write_text(source.replace("feedback.csv", "réactions.csv"), encoding="utf-8")
    for command in (*(f"{name} main.dspec" for name in COMMANDS), "compile main.dspec --json"):
        result = dspc(*command.split(), cwd=folder, **ASCII)
        assert result.code == 0, (command, result.text)
        assert result.text.isascii()


@pytest.mark.parametrize(
    "command",
    [
        "stubs {source} sorter -o",
        "export {source} sorter --to messages -i text=a -o",
        "export {source} sorter --to openai-jsonl --rows data/feedback.csv -o",
        "export {source} sorter --to dspy -o",
        "eval {source} --junit",
        "eval {source} --events",
        "compile {source} --events",
        "test {source} --junit",
        "cache export",
    ],
)
def test_no_source_or_artifact_is_written_over(command: str, tmp_path: Path) -> None:
    folder = started(tmp_path / "project")
    source = folder / "main.dspec"
    before = source.read_text()
    artifact = folder / "sorter.dspc.json"
    artifact.write_text("kept")
    for output in (source, artifact):
        result = dspc(*command.format(source=source).split(), output, cwd=folder)
        assert result.code == 2, result.text
        assert f"{output.name} is the name of a source or an artifact" in " ".join(result.err.split()), (
            result.err
        )
    assert source.read_text() == before
    assert artifact.read_text() == "kept"


IMPORTING = """\
dspec 1
import "main.dspec" as other
optimize mine {
  program = other.sorter
  metric = other.right
  train = other.feedback.train
  val = other.feedback.val
  step shown = LabeledFewShot(k = 2)
}
"""


def test_only_what_the_named_file_declares_is_compiled(tmp_path: Path) -> None:
    folder = started(tmp_path / "project")
    (folder / "mine.dspec").write_text(IMPORTING)
    result = dspc("compile", "mine.dspec", cwd=folder)
    assert result.code == 0, result.text
    assert [path.name for path in (folder / "compiled").iterdir()] == ["mine.dspc.json"]
    assert dspc("plan", "mine.dspec", cwd=folder).code == 0
    # what is imported is compiled where it is named
    assert dspc("compile", "mine.dspec", "other.sorter_v1", cwd=folder).code == 0
    assert (folder / "compiled" / "other.sorter_v1.dspc.json").exists()
    (folder / "none.dspec").write_text('dspec 1\nimport "main.dspec" as other\n')
    for command in ("compile", "plan", "eval"):
        refused = dspc(command, "none.dspec", cwd=folder)
        assert refused.code == 1, refused.text
        assert "of its own" in refused.err
        assert "run when named: other." in refused.err


def test_what_is_shown_has_no_control_codes(tmp_path: Path) -> None:
    """Texts of rows and models may hold anything; a terminal is to show it, not to obey."""
    folder = started(tmp_path / "project")
    assert dspc("compile", "main.dspec", cwd=folder).code == 0
    path = folder / "compiled" / "sorter_v1.dspc.json"
    codes = "\\u001b[2J\\u001b]0;x\\u0007\\u009b31m\\r\\u202e"
    path.write_text(path.read_text().replace("Decide what", f"Decide{codes} what"))
    for arguments in (("show",), ("show", "--ir"), ("show", "--prompt", "sorter")):
        shown = dspc(arguments[0], path, *arguments[1:], cwd=folder)
        assert shown.code == 0, shown.text
        assert "Decide" in shown.out
        assert not [one for one in shown.out if one != "\n" and not one.isprintable()], ascii(shown.out)


def test_raw_answers_can_be_read(tmp_path: Path) -> None:
    folder = started(tmp_path / "project")
    assert dspc("cache", "show", cwd=folder).out == ""
    assert dspc("compile", "main.dspec", cwd=folder).code == 0
    answers = json.loads(dspc("cache", "show", "--json", "-n", "5", cwd=folder).out)["answers"]
    assert len(answers) == 5
    assert all(one["model"] == "embedded/icl" and "kind" in one["text"] for one in answers)
    shown = dspc("cache", "show", "--having", "praise", "-n", "1", cwd=folder).out
    assert shown.startswith("── ")
    assert "praise" in shown
    assert dspc("cache", "show", "--model", "absent", cwd=folder).out == ""
