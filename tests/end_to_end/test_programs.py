"""A generator with critics and a ranker, routing, rounds and a program in a program: compiled on the embedded model,
saved, and run by a process that has nothing of the compiler."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dspc import dspc

BEST = """\
program Best(message: str) -> (team: str) {
  let drafts = [writer(message = message, draft = i) for i in range(3)]
  let notes = [critic(message = message, team = d.team) for d in drafts]
  let best = ranker(message = message, teams = [d.team for d in drafts], notes = [n.note for n in notes])
  let out = if best.sure then best else Careful(message = message)
  let final = repeat 2 from out {
    let check = critic(message = message, team = out.team)
    until check.note == "keep"
    let out = writer(message = message, draft = 9)
  }
  return team = final.team
}
"""
PROJECT = f"""\
dspec 1

lm learner {{ model = "embedded/icl" }}

type Kind = "bill" | "parcel"

module writer = Predict(sig(message, draft: int -> team))
module critic = Predict(sig(message, team -> note))
module ranker = Predict(sig(message, teams: list[str], notes: list[str] -> team, sure: bool))
module route = Predict(sig(message -> kind: Kind))

program Careful(message: str) -> (team: str) {{
  let kind = route(message = message).kind
  let draft = if kind == "bill" then writer(message = message, draft = 7) else writer(message = message, draft = 8)
  return team = draft.team
}}

{BEST}
dataset mail {{
  source = jsonl("mail.jsonl")
  input message: str
  field team: str
  split {{ train = 20; val = 20; seed = 3 }}
}}

metric right(gold: mail, pred: Best) = gold.team == pred.team

optimize best_v1 {{
  program = Best; metric = right; train = mail.train; val = mail.val; seed = 5
  step demos = BootstrapFewShot(max_labeled_demos = 8)
  step joint = BootstrapFewShotWithRandomSearch(num_candidate_programs = 3)
}}
"""
ASKS = """
import json, sys
from dspec import load
p = load("compiled/best_v1.dspc.json")
for line in open("mail.jsonl"):
    print(p(message=json.loads(line)["message"]).team)
heavy = {"lark", "optuna", "pygls", "litellm", "aiohttp", "numpy", "rich", "typer", "dspec.compiler", "dspec.grammar"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("best")
    (made / "main.dspec").write_text(PROJECT, encoding="utf-8")
    said = (
        "the invoice has a wrong sum",
        "a parcel did not come",
        "charged twice on the invoice",
        "parcel broken",
    )
    rows = [
        {"message": f"{said[i % 4]}, number {i}", "team": "billing" if i % 2 == 0 else "shipping"}
        for i in range(40)
    ]
    (made / "mail.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    done = dspc("compile", "main.dspec", cwd=made)
    assert done.code == 0, done.text
    return made


def test_a_generator_with_critics_and_a_ranker_takes_a_dozen_lines() -> None:
    assert len(BEST.splitlines()) <= 12


def test_the_plan_counts_rounds_and_branches(folder: Path) -> None:
    done = dspc("plan", "main.dspec", cwd=folder)
    assert done.code == 0, done.text
    said = " ".join(done.text.split())
    assert "a run makes 8 to 13 model calls" in said
    assert "`writer` 3 to 6, `critic` 4 to 5, `ranker` 1, `route` 0 to 1" in said


def test_it_answers_the_same_without_the_compiler_and_from_the_command_line(folder: Path) -> None:
    answers: set[str] = set()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ASKS],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.add(done.stdout)
    (told,) = answers
    assert len(told.splitlines()) == 40
    assert set(told.split()) == {"billing", "shipping"}
    first = json.loads((folder / "mail.jsonl").read_text(encoding="utf-8").splitlines()[0])["message"]
    run = dspc("run", "compiled/best_v1.dspc.json", "--input", f"message={first}", "--json", cwd=folder)
    assert run.code == 0, run.text
    assert json.loads(run.out)["team"] == told.splitlines()[0]


def test_compiling_again_asks_nothing_and_changes_no_byte(folder: Path) -> None:
    path = folder / "compiled" / "best_v1.dspc.json"
    before = path.read_bytes()
    done = dspc("compile", "main.dspec", cwd=folder)
    assert done.code == 0, done.text
    assert path.read_bytes() == before
