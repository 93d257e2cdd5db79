"""`examples/questions` and three programs beside it, each whole: planned, compiled on the embedded model, saved, and run by a
process that has nothing of the compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dspc import DSPC, EXAMPLES, Result, dspc

HERE = Path(__file__).parent / "questions"
FILES = {
    "agent": "agent_v1",
    "rag": "rag_v1",
    "two_hop": "two_hop_v1",
    "ranker": "ranked_v1",
    "routing": "routed_v1",
    "many_hops": "many_hops_v1",
    "mcp": "reader_v1",
    "best_of": "best_of_v1",
    "refine": "refine_v1",
    "rerank": "rerank_v1",
}
SERVER = "python server.py"
ALLOWED = {"mcp": [SERVER], "many_hops": ["hops"]}
"""What an artifact may use, by its file."""
ROWS = 6
ASKS = """
import json, sys
from dspec import load
p = load(sys.argv[1], allow=sys.argv[2:])
with open("data/questions.jsonl", encoding="utf-8") as rows:
    for _, line in zip(range(6), rows):
        print(json.dumps(dict(p(question=json.loads(line)["question"]))))
heavy = {"lark", "optuna", "pygls", "litellm", "aiohttp", "rich", "typer", "dspec.compiler", "dspec.grammar"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def ours() -> dict[str, str]:
    """The environment in which `python` is the one of these tests."""
    return {"PATH": f"{DSPC.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("examples") / "questions"
    shutil.copytree(EXAMPLES / "questions", made, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    for path in HERE.glob("*.dspec"):
        shutil.copy(path, made)
    return made


def compiled(folder: Path, file: str, block: str) -> tuple[dict, dict]:
    """What was planned, and what came of it."""
    planned = dspc("plan", f"{file}.dspec", block, "--json", cwd=folder)
    assert planned.code == 0, planned.text
    done = dspc("compile", f"{file}.dspec", block, "--json", cwd=folder, **ours())
    assert done.code == 0, done.text
    (made,) = json.loads(done.out)["compiled"]
    return json.loads(planned.out), made


def answers(folder: Path, artifact: str, *allow: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKS, artifact, *allow],
        cwd=folder,
        env={**os.environ, **ours()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked(folder: Path, artifact: str, question: str, *allow: str) -> dict:
    given = [part for one in allow for part in ("--allow", one)]
    done: Result = dspc(
        "run", artifact, "--input", f"question={question}", *given, "--json", cwd=folder, **ours()
    )
    assert done.code == 0, done.text
    return json.loads(done.out)


def test_every_file_checks_clean(folder: Path) -> None:
    assert dspc("check", "--strict", cwd=folder).text.strip() == "11 files checked: no problems"
    assert dspc("fmt", "--check", cwd=folder).code == 0


@pytest.mark.parametrize("file", FILES)
def test_it_is_planned_compiled_and_answers_the_same_without_the_compiler(file: str, folder: Path) -> None:
    if file == "mcp":
        pytest.importorskip("mcp")
    plan, made = compiled(folder, file, FILES[file])
    assert made["status"] == "complete", made["notes"]
    assert plan["least"] <= made["calls"]["needed"] <= plan["most"] + plan["again"]
    artifact = f"compiled/{FILES[file]}.dspc.json"
    allow = ALLOWED.get(file, [])
    told = answers(folder, artifact, *allow)
    assert len(told) == ROWS
    assert all("answer" in one for one in told)
    assert told == answers(folder, artifact, *allow)
    first = json.loads((folder / "data" / "questions.jsonl").read_text(encoding="utf-8").split("\n", 1)[0])
    assert asked(folder, artifact, first["question"], *allow) == told[0]


def test_a_plan_of_each_says_what_a_run_may_call(folder: Path) -> None:
    said = {
        "agent": "a run makes 2 to 6 model calls: `agent.react` 1 to 5, `search` 0 to 5, `agent.extract` 1",
        "rag": "a run makes 1 model call: `common.search` 1, `answer_from` 1",
        "ranker": "a run makes 8 to 11 model calls",
        "routing": "a run makes 2 to 4 model calls",
        "many_hops": "a run makes 0 to 7 model calls",
        "best_of": "a run makes 1 to 3 model calls",
        "refine": "a run makes 1 to 3 model calls",
        "rerank": "a run makes 2 model calls",
    }
    for file, words in said.items():
        plan = dspc("plan", f"{file}.dspec", FILES[file], cwd=folder)
        assert words in " ".join(plan.text.split()), plan.text


def test_a_tool_of_a_server_is_reached(folder: Path) -> None:
    """What an artifact may reach is said by who loads it; then the server starts, and answers."""
    pytest.importorskip("mcp")
    (folder / "reach.dspec").write_text(
        'dspec 1\nimport "mcp.dspec" as mcp\n'
        "program Reach(title: str) -> (text: str) { return text = mcp.look_up(title = title) }\n",
        encoding="utf-8",
    )
    done = dspc("run", "reach.dspec", "Reach", "--input", "title=Mali", "--json", cwd=folder, **ours())
    (folder / "reach.dspec").unlink()
    assert done.code == 0, done.text
    assert json.loads(done.out)["text"].startswith("Mali | Mali lies in West Africa.")


def test_the_lines_for_hotpotqa_check_clean(tmp_path: Path) -> None:
    """Those of the comment in `agent.dspec`, each in the place of what it stands for."""
    source = (EXAMPLES / "questions" / "agent.dspec").read_text(encoding="utf-8")
    model, rows, split, search = (line[4:] for line in source.splitlines() if line.startswith("#   "))
    for old, new in (
        ('lm learner { model = "embedded/icl" }', model),
        ('source = jsonl("data/questions.jsonl")', rows),
        ("split { train = 15%; val = 50%; test = 35%; seed = 11 }", split),
        ('source = bm25("data/passages.jsonl", k = 3)', search),
    ):
        assert f"\n{old}\n" in source or f"\n  {old}\n" in source
        source = source.replace(old, new)
    kept = [line for line in source.splitlines() if "dspc: allow" not in line]
    (tmp_path / "agent.dspec").write_text("\n".join(kept) + "\n", encoding="utf-8")
    done = dspc("check", "--strict", "agent.dspec", cwd=tmp_path)
    assert done.code == 0, done.text
    assert "DS0416" in done.text, "its columns are known once they were fetched"


def test_the_agent_compiles_on_questions_of_hotpotqa(tmp_path: Path) -> None:
    """`DSPEC_DATA` names a folder with `hotpot100.jsonl` and `hotpot100_corpus.jsonl`: questions with answers, and passages."""
    data = os.environ.get("DSPEC_DATA")
    if not data or not (Path(data) / "hotpot100.jsonl").is_file():
        pytest.skip("DSPEC_DATA names no folder with questions of HotPotQA")
    (tmp_path / "data").mkdir()
    shutil.copy(EXAMPLES / "questions" / "agent.dspec", tmp_path)
    shutil.copy(Path(data) / "hotpot100.jsonl", tmp_path / "data" / "questions.jsonl")
    shutil.copy(Path(data) / "hotpot100_corpus.jsonl", tmp_path / "data" / "passages.jsonl")
    assert dspc("check", "--strict", cwd=tmp_path).code == 0
    plan, made = compiled(tmp_path, "agent", "agent_v1")
    assert plan["least"] <= made["calls"]["needed"] <= plan["most"] + plan["again"]
    told = answers(tmp_path, "compiled/agent_v1.dspc.json")
    assert len(told) == ROWS
    assert told == answers(tmp_path, "compiled/agent_v1.dspc.json")
