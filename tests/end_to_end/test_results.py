"""Blocks on blocks, artifacts and DSPy's states as programs: one command compiles what is needed, in order, and once."""

from __future__ import annotations

import json
from pathlib import Path

import published
import pytest
from dspc import dspc

TOPICS = ("billing", "shipping", "returns")
WORDS = {"billing": "invoice charge", "shipping": "parcel courier", "returns": "refund label"}
ROWS = "".join(
    f"case {n} {WORDS[TOPICS[n % 3]].split()[n % 2]} number {n},{TOPICS[n % 3]}\n" for n in range(60)
)
HEAD = """\
dspec 1

lm learner { model = "embedded/icl"; default = true }
type Topic = "billing" | "shipping" | "returns"
signature Route { "Name the topic."; input text: str; output topic: Topic }
module router = Predict(Route)
module thinker = ChainOfThought(Route)

dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: Topic
  split { train = 40%; val = 40%; test = 20%; seed = 3 }
}

metric right(gold: tickets, pred: router) = gold.topic == pred.topic
"""
FIRST = """
optimize first {
  program = router; metric = right; train = tickets.train; val = tickets.val; seed = 1
  step demos = LabeledFewShot(k = 4)
}
"""
SECOND = """
optimize second {
  program = first; metric = right; train = tickets.train; val = tickets.val; seed = 2
  step search = BootstrapFewShotWithRandomSearch(teacher = first, num_candidate_programs = 3, max_labeled_demos = 6)
}
eval better { program = second; baseline = first; metric = right; data = tickets.test; gate score >= 0.1 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "tickets.csv").write_text("text,topic\n" + ROWS)
    return tmp_path


def write(folder: Path, *parts: str) -> None:
    (folder / "main.dspec").write_text("".join((HEAD, *parts)))


def compiled(folder: Path, *names: str) -> list[str]:
    """The blocks that `dspc compile` compiled, in order."""
    done = dspc("compile", "main.dspec", *names, "--json", cwd=folder)
    assert done.code == 0, done.text
    return [
        Path(one["artifact"]).name.partition(".")[0]
        for one in published.read("compile", done.out)["compiled"]
    ]


def plan(folder: Path, name: str) -> dict[str, object]:
    done = dspc("plan", "main.dspec", name, "--json", cwd=folder)
    assert done.code == 0, done.text
    return json.loads(done.out)


def artifact(folder: Path, name: str) -> bytes:
    return (folder / "compiled" / f"{name}.dspc.json").read_bytes()


def test_what_a_block_needs_is_compiled_before_it_and_once(folder: Path) -> None:
    write(folder, SECOND, FIRST)
    made = plan(folder, "second")
    before = made["before"]
    assert isinstance(before, list)
    assert [one["optimize"] for one in before] == ["first"]
    assert made["in_all"] == [made["least"] + before[0]["least"], made["most"] + before[0]["most"]]  # type: ignore[operator]
    assert compiled(folder, "second") == ["first", "second"]
    first = json.loads(artifact(folder, "first"))
    second = json.loads(artifact(folder, "second"))
    assert first["provenance"]["source"] != second["provenance"]["source"]
    assert [step["name"] for step in second["provenance"]["steps"]] == ["search"]
    again = plan(folder, "second")
    assert "before" not in again
    free = again["free"]
    assert isinstance(free, dict)
    assert free["steps"] == ["search"]
    kept = artifact(folder, "first"), artifact(folder, "second")
    assert compiled(folder, "second") == ["second"]
    assert compiled(folder) == ["first", "second"]
    assert (artifact(folder, "first"), artifact(folder, "second")) == kept
    assert dspc("eval", "main.dspec", cwd=folder).code == 0


@pytest.mark.parametrize(
    ("score", "block"),
    [
        ("if gold.topic == pred.topic then 1 else 1", ""),
        ('1 / (if contains(gold.text, "case 7 ") then 0 else 1)', 'on_error = "score_zero"; '),
    ],
    ids=["perfect at the start", "a metric that fails on a row"],
)
def test_one_with_a_note_of_its_scores_is_there_as_well(folder: Path, score: str, block: str) -> None:
    head = HEAD.replace("= gold.topic == pred.topic", f"{{ score = {score}; accept = score > 0 }}")
    first, second = (one.replace("seed = ", f"{block}seed = ") for one in (FIRST, SECOND.split("eval ")[0]))
    (folder / "main.dspec").write_text(head + first + second)
    assert compiled(folder, "first") == ["first"]
    assert json.loads(artifact(folder, "first"))["notes"]
    assert compiled(folder, "second") == ["second"]


def test_the_result_starts_where_the_first_ended(folder: Path) -> None:
    """Without the state folder too, an artifact that is what the source says counts, and a changed source does not."""
    write(folder, FIRST, SECOND)
    compiled(folder, "second")
    for file in sorted((folder / ".dspec").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    assert "before" not in plan(folder, "second")
    write(folder, FIRST.replace("k = 4", "k = 3"), SECOND)
    assert compiled(folder, "second") == ["first", "second"]
    why = dspc("plan", "main.dspec", "second", "--why", cwd=folder)
    assert "nothing has changed since the last complete compile" in why.out
    write(folder, FIRST.replace("k = 4", "k = 2"), SECOND)
    why = dspc("plan", "main.dspec", "second", "--why", cwd=folder)
    assert "first.steps.demos.options.k: 3 → 2" in why.out
    assert "with first before it, in all:" in why.out


def test_a_saved_plan_holds_for_both(folder: Path) -> None:
    write(folder, FIRST, SECOND)
    (folder / "plan.json").write_text(dspc("plan", "main.dspec", "second", "--json", cwd=folder).out)
    write(folder, FIRST.replace("seed = 1", "seed = 5"), SECOND)
    refused = dspc("compile", "main.dspec", "second", "--plan", "plan.json", cwd=folder)
    assert refused.code == 1
    assert "first.seed: 1 → 5" in refused.err
    write(folder, FIRST, SECOND)
    assert dspc("compile", "main.dspec", "second", "--plan", "plan.json", cwd=folder).code == 0


def test_a_block_whose_start_met_its_wall_waits(folder: Path) -> None:
    walled = FIRST.replace(
        "step demos = LabeledFewShot(k = 4)",
        "budget { calls = 40 }\n"
        "  step demos = BootstrapFewShotWithRandomSearch(num_candidate_programs = 6, max_labeled_demos = 4)",
    )
    write(folder, walled, SECOND)
    done = dspc("compile", "main.dspec", "second", cwd=folder)
    assert done.code == 3
    assert "`second` waits for the whole result" in done.err
    assert not (folder / "compiled" / "second.dspc.json").exists()
    # What machines are told of a result that was cut short is what its artifact says, again and again.
    told = json.loads(dspc("compile", "main.dspec", "first", "--json", cwd=folder).out)["compiled"][0]
    (kept,) = json.loads(artifact(folder, "first"))["scores"].values()
    assert told["status"] == "budget"
    assert told["final"] == {
        "corrected": kept["score"],
        **{name: kept[name] for name in ("score", "low", "high", "n")},
    }


SAVED = """
optimize more {
  program = artifact("compiled/first.dspc.json"); metric = right; train = tickets.train; val = tickets.val
  step better = BootstrapFewShotWithRandomSearch(
    teacher = dspy_state("saved.json", router), num_candidate_programs = 3, max_labeled_demos = 6
  )
  step vote = Ensemble([better, router, artifact("compiled/first.dspc.json")], reduce = majority(topic))
}
eval held { program = more; baseline = dspy_state("saved.json", router); metric = right; data = tickets.test }
"""


def test_artifacts_and_states_are_programs(folder: Path) -> None:
    write(folder, FIRST)
    compiled(folder)
    exported = dspc("export", "compiled/first.dspc.json", "--to", "dspy", "-o", "saved.json", cwd=folder)
    assert exported.code == 0
    write(folder, FIRST, SAVED)
    checked = dspc("check", "main.dspec", cwd=folder)
    assert checked.code == 0, checked.text
    assert compiled(folder, "more") == ["more"]
    more = json.loads(artifact(folder, "more"))
    assert "artifact(" not in json.dumps(more["program"])
    assert dspc("eval", "main.dspec", "held", cwd=folder).code == 0
    # The file is part of what was checked: another one is another program, and a broken one is told.
    (folder / "saved.json").write_text("{}")
    broken = dspc("check", "main.dspec", cwd=folder)
    assert broken.code == 1
    assert "DS0633" in broken.text
