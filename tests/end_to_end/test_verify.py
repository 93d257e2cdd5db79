"""An artifact as the lock of its compile: `dspc verify`, and `--locked`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import published
import pytest
from dspc import dspc

SHARED = """dspec 1
type Kind = "praise" | "complaint"
"""
SOURCE = """dspec 1
import "shared.dspec" as shared
lm learner { model = "embedded/icl" }
signature Sort {
  "Say what the message is."
  input text: str
  output kind: shared.Kind
}
module sorter = Predict(Sort)
dataset messages {
  source = csv("data/messages.csv")
  input text: str
  field kind: shared.Kind
  split { train = 50%; val = 50%; seed = 1 }
}
dataset more {
  source = python("rows:more")
  input text: str
  field kind: shared.Kind
}
metric right(gold: messages, pred: sorter) { score = gold.kind == pred.kind }
optimize sorted {
  program = sorter
  metric = right
  train = messages.train
  val = messages.val
  step labels = LabeledFewShot(k = 4)
}
optimize made {
  program = sorter
  metric = right
  train = more
  val = messages.val
  step labels = LabeledFewShot(k = 2)
}
eval held {
  program = sorted
  metric = right
  data = messages.val
}
"""
ROWS = "text,kind\n" + "".join(
    f"{text} {number},{kind}\n"
    for number in range(6)
    for text, kind in (("I love it", "praise"), ("It is broken", "complaint"))
)
PYTHON = """def more():
    return [{"text": f"so good {n}", "kind": "praise"} for n in range(3)] + [
        {"text": f"so bad {n}", "kind": "complaint"} for n in range(3)
    ]
"""
ARTIFACT = "compiled/sorted.dspc.json"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    (folder / "dspec.toml").touch()
    (folder / "data").mkdir()
    (folder / "main.dspec").write_text(SOURCE)
    (folder / "shared.dspec").write_text(SHARED)
    (folder / "rows.py").write_text(PYTHON)
    (folder / "data" / "messages.csv").write_text(ROWS)
    result = dspc("compile", "main.dspec", cwd=folder)
    assert result.code == 0, result.text
    return folder


@pytest.fixture
def project(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "project"))


def states(project: Path, *arguments: str, artifact: str = ARTIFACT, code: int) -> dict[str, dict[str, Any]]:
    result = dspc("verify", artifact, "--json", *arguments, cwd=project)
    assert result.code == code, result.text
    told = published.read("verify", result.out)
    assert told["same"] == (code == 0)
    return {f"{one['what']} {one['name']}": one for one in told["checks"]}


def others(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["state"] for name, one in checks.items() if one["state"] != "same"}


def changed(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_what_was_just_compiled_is_the_same(compiled: Path) -> None:
    checks = states(compiled, code=0)
    assert others(checks) == {}
    assert {
        "artifact sorted.dspc.json",
        "version dspec",
        "prompt sorter",
        "source main.dspec",
        "source shared.dspec",
        "data data/messages.csv",
        "meaning program",
        "meaning rows of train",
        "meaning rows of val",
        "meaning metric",
        "meaning steps",
        "model learner",
    } == set(checks)
    data = (compiled / "data" / "messages.csv").read_bytes()
    assert checks["data data/messages.csv"]["then"] == hashlib.sha256(data).hexdigest()
    made = states(compiled, artifact="compiled/made.dspc.json", code=0)
    assert made["python rows.py"]["now"] == hashlib.sha256(PYTHON.encode()).hexdigest()
    assert made["fetched rows:more"]["state"] == "same"
    assert "12 same" in dspc("verify", ARTIFACT, cwd=compiled).out


def test_a_comment_is_no_drift(project: Path) -> None:
    with (project / "main.dspec").open("a") as file:
        file.write("# a comment\n")
    source = states(project, code=0)["source main.dspec"]
    assert source["then"] != source["now"]
    assert "means the same" in source["note"]
    assert dspc("compile", "main.dspec", "sorted", "--locked", cwd=project).code == 0


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("main.dspec", "k = 4", "k = 5", ["step labels.k: 4 → 5", "source main.dspec: "]),
        ("main.dspec", "Say what", "Tell what", ["program: "]),
        ("main.dspec", "seed = 1", "seed = 2", ["rows of train: ", "rows of val: "]),
        ("main.dspec", 'lm learner { model = "embedded/icl"', 'lm learner { temperature = 0.5; model = "embedded/icl"', ["temperature: none → 0.5"]),
        ("main.dspec", 'model = "embedded/icl"', 'model = "openai/other"', ["model learner: embedded/icl → openai/other"]),
        ("main.dspec", "gold.kind == pred.kind", "gold.kind != pred.kind", ["metric: "]),
        ("shared.dspec", '| "complaint"', '| "complaint" | "none"', ["source shared.dspec: ", "program: "]),
        ("data/messages.csv", "I love it 3", "I like it 3", ["data data/messages.csv: ", "rows of "]),
        ("data/messages.csv", "text,kind\n", "text,kind\n\n", ["data data/messages.csv: "]),
    ],
)  # fmt: skip
def test_drift_is_refused_by_name(project: Path, file: str, before: str, after: str, told: list[str]) -> None:
    stood = (project / ARTIFACT).read_bytes()
    changed(project / file, before, after)
    for command in (
        ("compile", "main.dspec", "sorted"),
        ("eval", "main.dspec"),
        ("run", ARTIFACT, "-i", "text=x"),
    ):
        refused = dspc(*command, "--locked", cwd=project)
        assert refused.code == 1, refused.text
        assert all(one in refused.err for one in told), refused.err
    assert (project / ARTIFACT).read_bytes() == stood
    assert "differs" in others(states(project, code=1)).values()


def test_only_what_its_artifact_was_made_from_is_served(project: Path) -> None:
    """The server of this test is one for a tool, which ends with its input."""
    serve = ("serve", ARTIFACT, "--locked", "--mcp")
    assert dspc(*serve, cwd=project).code == 0
    assert dspc(*serve, "--lm", "openai/x", cwd=project).code == 2
    other = project / "compiled" / "made.dspc.json"
    changed(project / "rows.py", "so bad", "so sad")
    refused = dspc("serve", ARTIFACT, other, "--locked", "--mcp", cwd=project)
    assert refused.code == 1, refused.text
    assert "made.dspc.json was made from" in refused.err
    assert "python rows.py: " in refused.err
    assert dspc("serve", other, "--mcp", cwd=project).code == 0, "nothing is refused that is not to be locked"


def test_another_version_is_drift(project: Path) -> None:
    path = project / ARTIFACT
    plain = json.loads(path.read_bytes())
    plain["provenance"]["toolchain"] = "dspc 0.0.1"
    path.write_text(json.dumps(plain))
    assert others(states(project, code=1)) == {
        "artifact sorted.dspc.json": "differs",
        "version dspec": "differs",
    }
    refused = dspc("compile", "main.dspec", "sorted", "--locked", cwd=project)
    assert "version dspec: dspc 0.0.1 → dspc " in refused.err
    assert "this is not what compiled/sorted.dspc.json was made from" in refused.err


def test_an_edited_artifact_and_its_prompts_are_noticed(project: Path) -> None:
    changed(project / ARTIFACT, "Say what the message is.", "Say what the message was.")
    found = others(states(project, code=1))
    assert found == {"artifact sorted.dspc.json": "differs", "prompt sorter": "differs"}
    refused = dspc("compile", "main.dspec", "sorted", "--locked", cwd=project)
    assert "artifact sorted.dspc.json: " in refused.err
    # Its layout may change: what it holds is hashed.
    plain = json.loads((project / ARTIFACT).read_bytes())
    changed(project / ARTIFACT, "Say what the message was.", "Say what the message is.")
    assert plain != json.loads((project / ARTIFACT).read_bytes())
    (project / ARTIFACT).write_text(json.dumps(json.loads((project / ARTIFACT).read_bytes()), indent=7))
    assert others(states(project, code=0)) == {}


def test_what_is_not_there_is_told(project: Path) -> None:
    (project / "data" / "messages.csv").unlink()
    found = others(states(project, code=1))
    assert found["data data/messages.csv"] == "absent"
    assert found["meaning sorted"] == "unknown"
    away = project.parent / "away.dspc.json"
    shutil.copy(project / ARTIFACT, away)
    found = states(away.parent, artifact="away.dspc.json", code=0)
    assert set(others(found).values()) == {"unknown"}
    assert others(found)["source main.dspec"] == "unknown"
    states(away.parent, "--strict", artifact="away.dspc.json", code=1)
    assert dspc("run", away, "--locked", "-i", "text=so good", cwd=project).code == 0
    named = states(away.parent, "--source", "project/main.dspec", artifact="away.dspc.json", code=1)
    assert others(named)["data data/messages.csv"] == "absent"


def test_rows_that_python_makes_are_held_by_the_module(project: Path) -> None:
    changed(project / "rows.py", "so bad", "so sad")
    found = others(states(project, artifact="compiled/made.dspc.json", code=1))
    assert found["python rows.py"] == "differs"
    refused = dspc("compile", "main.dspec", "made", "--locked", cwd=project)
    assert refused.code == 1
    assert "rows of train: " in refused.err


def test_a_lock_needs_an_artifact_and_its_own_model(project: Path) -> None:
    shutil.rmtree(project / "compiled")
    refused = dspc("compile", "main.dspec", "sorted", "--locked", cwd=project)
    assert refused.code == 1
    assert "`sorted` is locked to nothing: there is no compiled/sorted.dspc.json" in refused.err
    assert not (project / "compiled").exists()
    assert dspc("run", "main.dspec", "sorter", "--locked", "-i", "text=x", cwd=project).code == 2
    assert dspc("run", ARTIFACT, "--locked", "--lm", "openai/x", "-i", "text=x", cwd=project).code == 2


def test_an_older_artifact_says_what_nobody_knows(project: Path) -> None:
    path = project / ARTIFACT
    plain = json.loads(path.read_bytes())
    del plain["sha256"], plain["provenance"]["files"], plain["provenance"]["prompts"]
    path.write_text(json.dumps(plain))
    found = others(states(project, code=0))
    assert found == dict.fromkeys(["artifact sorted.dspc.json", "prompt sorter", "source files"], "unknown")
    assert dspc("compile", "main.dspec", "sorted", "--locked", cwd=project).code == 0


@pytest.mark.parametrize("command", [("compile", "main.dspec", "sorted"), ("eval", "main.dspec", "held")])
def test_a_lock_that_was_edited_holds_nothing(project: Path, command: tuple[str, ...]) -> None:
    # A score is in no prompt, and no source gives it: the hash of the artifact alone tells.
    path = project / ARTIFACT
    plain = json.loads(path.read_bytes())
    plain["scores"]["val"]["score"] = 0.125
    path.write_text(json.dumps(plain))
    edited = path.read_bytes()
    refused = dspc(*command, "--locked", cwd=project)
    assert refused.code == 1, refused.text
    assert "artifact sorted.dspc.json: " in refused.err
    assert path.read_bytes() == edited


@pytest.mark.parametrize(
    "path", ["../../etc/hostname", "/etc/hostname", "fifo", "data", "\u202e\x1b[2J", "x\0y"]
)
def test_no_path_of_an_artifact_leads_out_of_the_project(project: Path, path: str) -> None:
    import os

    os.mkfifo(project / "fifo")
    changed(project / "main.dspec", "Say what", "Say = what =")  # so that files are looked at by their names
    (project / "main.dspec").write_text((project / "main.dspec").read_text() + "optimize {\n")
    plain = json.loads((project / ARTIFACT).read_bytes())
    plain["provenance"]["files"].append({"role": "data", "path": path, "sha256": "0" * 64})
    (project / ARTIFACT).write_text(json.dumps(plain))
    found = states(project, code=1)
    assert found[f"data {path}"]["now"] is None
    text = dspc("verify", ARTIFACT, cwd=project)
    assert text.code == 1
    assert "\x1b[2J" not in text.out


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.dspc.json").write_text("[]")
    for name in ("x.dspc.json", "nowhere.dspc.json", "."):
        refused = dspc("verify", name, cwd=tmp_path)
        assert refused.code == 1, refused.text
        assert refused.out == ""


def test_the_source_is_found_above_a_deeper_folder(project: Path) -> None:
    deep = project / "build" / "programs"
    deep.mkdir(parents=True)
    shutil.move(project / ARTIFACT, deep)
    found = others(states(project, artifact="build/programs/sorted.dspc.json", code=0))
    assert "unknown" not in found.values()
