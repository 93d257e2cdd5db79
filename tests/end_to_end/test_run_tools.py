"""`dspc run` of an artifact whose tools are files of its project: a data file and a Python module."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dspc import dspc

PROJECT = """\
dspec 1

lm learner { model = "embedded/icl" }

extern search(query: str) -> list[str] { source = bm25("data/notes.jsonl", k = 1) }
extern shout(text: str) -> str = python("loud:shout")

module ask = Predict(sig(note -> label))

program Note(query: str) -> (text: str, label: str) {
  let found = search(query = query)
  let text = shout(text = join(found))
  let out = ask(note = text)
  return text = text, label = out.label
}

dataset notes {
  source = jsonl("data/notes.jsonl")
  input query: str
  field label: str
  split { train = 2; val = 2 }
}

metric right(gold: notes, pred: Note) = gold.label == pred.label

optimize note_v1 {
  program = Note; metric = right; train = notes.train; val = notes.val
  step labels = LabeledFewShot(k = 2)
}
"""


@pytest.mark.parametrize("marked", [False, True])
def test_its_files_are_found_from_any_folder(marked: bool, tmp_path: Path) -> None:
    """Whether or not a file marks the project's root."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    if marked:
        (folder / "dspec.toml").touch()
    (folder / "main.dspec").write_text(PROJECT, encoding="utf-8")
    (folder / "loud.py").write_text(
        "def shout(text: str) -> str:\n    return text.upper()\n", encoding="utf-8"
    )
    rows = [
        {"query": word, "label": "x", "text": f"about {word}"} for word in ("tea", "milk", "rain", "snow")
    ]
    (folder / "data" / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    done = dspc("compile", "main.dspec", cwd=folder)
    assert done.code == 0, done.text
    artifact = folder / "compiled" / "note_v1.dspc.json"
    for cwd, path in (
        (folder, Path("compiled", artifact.name)),
        (artifact.parent, artifact.name),
        (tmp_path, artifact),
    ):
        run = dspc("run", path, "--input", "query=rain", "--allow", "loud", "--json", cwd=cwd)
        assert run.code == 0, run.text
        assert json.loads(run.out)["text"] == "ABOUT RAIN"


def test_a_tool_that_always_fails_is_told_where_scores_are(tmp_path: Path) -> None:
    source = PROJECT + "eval ship { program = note_v1; metric = right; data = notes.val }\n"
    (tmp_path / "main.dspec").write_text(source, encoding="utf-8")
    (tmp_path / "loud.py").write_text(
        'def shout(text: str) -> str:\n    raise OSError("the horn is\\x1b[2J broken")\n', encoding="utf-8"
    )
    (tmp_path / "data").mkdir()
    rows = [
        {"query": word, "label": "x", "text": f"about {word}"} for word in ("tea", "milk", "rain", "snow")
    ]
    (tmp_path / "data" / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    done = dspc("compile", "main.dspec", cwd=tmp_path)
    assert done.code == 0, done.text
    said = " ".join(done.out.split())
    warning = "warning: `shout` (main.dspec:6) failed in all 2 calls; for example:"
    assert said.count(warning) == 2, "once for the compile, and once for the eval"
    assert "2 rows without a usable answer (scored 0); the first: the tool `shout` failed: " in said
    assert said.count("the horn is") == 3
    assert "needed (6 fewer: 4 runs ended where a tool failed, " in said
    assert "\x1b" not in done.text
    again = dspc("compile", "main.dspec", "--json", cwd=tmp_path)
    assert warning in again.err
    (result,) = json.loads(again.out)["compiled"]
    (told,) = result["tools"]
    assert (told["tool"], told["place"], told["calls"], told["failed"]) == ("shout", "main.dspec:6", 2, 2)
    assert result["evals"][0]["tools"] == [told]
    assert "the horn is" not in (tmp_path / "compiled" / "note_v1.dspc.json").read_text("utf-8")
    run = dspc("run", "main.dspec", "Note", "--input", "query=tea", cwd=tmp_path)
    assert run.code == 1
    assert "error: main.dspec:6: the tool `shout` failed: " in run.err
    report = dspc("report", "main.dspec", "-o", "page.html", cwd=tmp_path)
    assert report.code == 0, report.text
    assert "failed in all 2 calls" in (tmp_path / "page.html").read_text("utf-8")


def test_a_server_that_hangs_is_told_with_its_time_and_its_place(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    server = """extern shout(text: str) -> str {
  source = mcp(command = "sleep 60", tool = "shout"); timeout = 0.2
}"""
    (tmp_path / "main.dspec").write_text(
        PROJECT.replace('extern shout(text: str) -> str = python("loud:shout")', server), encoding="utf-8"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.jsonl").write_text(
        '{"query": "tea", "label": "x", "text": "about tea"}\n' * 4, encoding="utf-8"
    )
    done = dspc("compile", "main.dspec", cwd=tmp_path)
    assert done.code == 0, done.text
    assert "warning: `shout` (main.dspec:6) failed in its only call; for example: " in done.out
    assert "the MCP server did not answer within 0.2 s" in done.out
