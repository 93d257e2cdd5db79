"""`artifact("compiled/v1.dspc.json")` in the file that makes `v1`: where there is none yet, the block itself is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import BESIDE
from dspc import dspc

from dspec.compiler.check.analysis import analyse

SOURCE = """\
dspec 1

lm learner { model = "embedded/icl" }
type Topic = "billing" | "shipping" | "returns"
module router = Predict(sig(text -> topic: Topic))
dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: Topic
  split { train = 30; val = 30; test = 30 }
}
metric right(gold: tickets, pred: router) = gold.topic == pred.topic
optimize v2 {
  program = artifact("compiled/v1.dspc.json"); metric = right; train = tickets.train; val = tickets.val
  step s = LabeledFewShot(k = 6)
}
optimize v1 {
  program = router; metric = right; train = tickets.train; val = tickets.val
  step s = LabeledFewShot(k = 4)
}
eval ship { program = v2; baseline = artifact("compiled/v1.dspc.json"); metric = right; data = tickets.test; gate score >= 0.1 }
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, content in BESIDE.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    path = tmp_path / "main.dspec"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_fresh_checkout_checks_and_the_block_is_what_is_started_from(source: Path) -> None:
    found = analyse(source)
    assert [one.code for one in found.diagnostics if one.severity == "error"] == []
    assert found.project is not None
    assert found.project.optimizes["v2"].program == "v1"
    assert found.project.evals["ship"].baseline == "v1"


def test_what_it_needs_is_compiled_first(source: Path) -> None:
    done = dspc("compile", "main.dspec", "v2", cwd=source.parent)
    assert done.code == 0, done.text
    assert [line for line in done.out.splitlines() if line.startswith("wrote")] == [
        "wrote compiled/v1.dspc.json",
        "wrote compiled/v2.dspc.json",
    ]
    found = analyse(source)
    assert found.project is not None
    assert found.project.optimizes["v2"].program == 'artifact("compiled/v1.dspc.json")'


def test_the_block_alone_compiles_before_its_artifact_is_there(source: Path) -> None:
    done = dspc("compile", "main.dspec", "v1", cwd=source.parent)
    assert done.code == 0, done.text


@pytest.mark.parametrize("path", ["compiled/v2.dspc.json", "compiled/v3.dspc.json", "elsewhere/v1.dspc.json"])
def test_another_file_or_ones_own_is_still_missing(source: Path, path: str) -> None:
    text = SOURCE.replace('program = artifact("compiled/v1.dspc.json")', f'program = artifact("{path}")')
    assert "DS0633" in [one.code for one in analyse(source, text=text).diagnostics]
