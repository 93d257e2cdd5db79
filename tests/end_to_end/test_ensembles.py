"""Ensembles, indexes and strategies from a source to a call: checked, planned, compiled, run; offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from dspc import EXAMPLES, dspc

STEPS = """
optimize voted {
  program = router
  metric = right
  train = tickets.train
  val = tickets.val
  seed = 9
  step search = BootstrapFewShotWithRandomSearch(
    max_bootstrapped_demos = 4,
    max_labeled_demos = 12,
    num_candidate_programs = 4,
  )
  step vote = Ensemble(search.candidates.top(5), reduce = majority(intent), size = 3)
}

optimize near {
  program = router
  metric = right
  train = tickets.train
  val = tickets.val
  seed = 9
  step near = KNNFewShot(k = 8, max_bootstrapped_demos = 8)
}

program First(intents: list[Intent]) -> (intent: Intent) {
  return intent = intents[0]
}

optimize judged {
  program = router
  metric = right
  train = tickets.train
  val = tickets.val
  seed = 9
  step search = BootstrapFewShotWithRandomSearch(
    max_bootstrapped_demos = 4,
    max_labeled_demos = 12,
    num_candidate_programs = 4,
    tune = [router],
  )
  step vote = Ensemble(search.candidates.top(3), reduce = First)
}

optimize both {
  program = router
  metric = right
  train = tickets.train
  val = tickets.val
  seed = 9
  step search = BootstrapFewShotWithRandomSearch(num_candidate_programs = 1, max_labeled_demos = 8)
  step vote = Ensemble([search, router])
  step both = BetterTogether(
    student = router,
    b = BootstrapFewShot(teacher = vote),
    k = KNNFewShot(k = 6),
    strategy = "b -> k",
  )
}
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensembles") / "tickets"
    shutil.copytree(EXAMPLES / "tickets", folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    source = (folder / "tickets.dspec").read_text(encoding="utf-8")
    head, rest = source[: source.index("optimize ")], source[source.index("eval ship") :]
    ships = "".join(
        rest.replace("eval ship", f"eval ship_{name}").replace("router_v1", name)
        for name in ("voted", "near", "judged", "both")
    )
    (folder / "tickets.dspec").write_text(f"{head}{STEPS.lstrip()}\n{ships}", encoding="utf-8")
    return folder


def test_it_checks_clean_and_is_planned(example: Path) -> None:
    checked = dspc("check", "--strict", cwd=example)
    assert checked.code == 0, checked.text
    planned = dspc("plan", "tickets.dspec", "voted", "--json", cwd=example)
    assert planned.code == 0, planned.text
    steps = {step["name"]: step for step in json.loads(planned.out)["steps"]}
    assert steps["vote"]["task"] == [0, 0]


def test_compiled_scored_shown_and_run(example: Path) -> None:
    done = dspc("compile", "tickets.dspec", "--json", cwd=example)
    assert done.code in (0, 1), done.text
    results = {one["name"]: one for one in json.loads(done.out)["compiled"]}
    for name, result in results.items():
        (evaluation,) = result["evals"]
        assert evaluation["score"] > evaluation["baseline"]["score"] + 0.1, (name, evaluation["score"])
        artifact = example / "compiled" / f"{name}.dspc.json"
        answer = dspc("run", artifact, "--input", "text=my parcel never arrived", "--json", cwd=example)
        assert answer.code == 0, answer.text
        assert json.loads(answer.out)["intent"] == "shipping", name
    # Loaded again, they score the same.
    again = {
        one["name"]: one
        for one in json.loads(dspc("eval", "tickets.dspec", "--json", cwd=example).out)["evals"]
    }
    for result in results.values():
        (evaluation,) = result["evals"]
        assert again[evaluation["name"]]["rows"] == evaluation["rows"]
    shown = dspc("show", example / "compiled" / "voted.dspc.json", cwd=example).out
    assert "ensemble of 5: majority(intent); 3 answer each input" in shown
    assert shown.count("router(text: str)") == 5
    prompt = dspc("show", example / "compiled" / "voted.dspc.json", "--prompt", "router", cwd=example)
    assert "<text>" in prompt.out
    judged = dspc("show", example / "compiled" / "judged.dspc.json", cwd=example).out
    assert "ensemble of 3: reduced by First; all answer" in judged
    near = dspc("show", example / "compiled" / "near.dspc.json", cwd=example).out
    assert "shows each input the demos of the 8 nearest of" in near
