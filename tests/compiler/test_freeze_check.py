"""`tune` and `freeze` in a source, and models and programs as options: what a step means once it is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler import ir
from dspec.compiler.check.analysis import Analysis, analyse

SOURCE = """dspec 1

lm mini { model = "openai/gpt-4o-mini"; default = true }
lm embedder { model = "openai/text-embedding-3-small" }

module condense = Predict(sig(text -> gist))
module decide = Predict(sig(gist -> topic))
module pick = Predict(sig(text, topics: list[str] -> topic))

program TwoStep(text: str) -> (topic: str) {
  let first = condense(text = text)
  let last = decide(gist = first.gist)
  return topic = last.topic
}

dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: str
  split { train = 50%; val = 50% }
}

metric right(gold: tickets, pred: TwoStep) = gold.topic == pred.topic

optimize v1 {
  program = TwoStep
  metric = right
  train = tickets.train
  val = tickets.val
  $BLOCK
  $STEPS
}
"""


def checked(folder: Path, steps: str, block: str = "") -> Analysis:
    (folder / "dspec.toml").touch()
    (folder / "tickets.csv").write_text("text,topic\n" + "".join(f"message {n},a\n" for n in range(200)))
    path = folder / "main.dspec"
    path.write_text(SOURCE.replace("$BLOCK", block).replace("$STEPS", steps), encoding="utf-8")
    return analyse(path)


def lowered(folder: Path, steps: str, block: str = "") -> tuple[ir.StepSpec, ...]:
    analysis = checked(folder, steps, block)
    errors = [one.message for one in analysis.diagnostics if one.severity == "error"]
    assert not errors
    assert analysis.project is not None
    return analysis.project.optimizes["v1"].steps


@pytest.mark.parametrize(
    ("block", "option", "frozen"),
    [
        ("", "", ()),
        ("", "freeze = [condense]", ("condense",)),
        ("", "tune = [condense]", ("decide",)),
        ("freeze = [decide]", "", ("decide",)),
        ("tune = [decide]", "", ("condense",)),
        # A step's own word counts before the block's.
        ("freeze = [decide]", "tune = [condense, decide]", ()),
        ("freeze = [decide]", "freeze = none", ()),
        ("freeze = [decide]", "freeze = []", ()),
        ("tune = [decide]", "freeze = [decide]", ("decide",)),
    ],
)
def test_what_is_frozen(tmp_path: Path, block: str, option: str, frozen: tuple[str, ...]) -> None:
    (step,) = lowered(tmp_path, f"step demos = BootstrapFewShot({option})", block)
    assert step.frozen == frozen


def test_the_blocks_word_holds_for_every_step_that_tunes(tmp_path: Path) -> None:
    found = lowered(
        tmp_path,
        "step search = BootstrapRS()\n  step vote = Ensemble(search.candidates.top(2), reduce = pick)",
        "freeze = [decide]",
    )
    assert [step.frozen for step in found] == [("decide",), ()]
    assert found[1].options == {"reduce": {"module": "pick"}}


def test_a_model_as_vectorizer(tmp_path: Path) -> None:
    (step,) = lowered(tmp_path, "step near = KNNFewShot(vectorizer = embedder)")
    assert step.options == {"vectorizer": {"lm": "embedder"}}
    (step,) = lowered(tmp_path, 'step near = KNNFewShot(vectorizer = "ngrams")')
    assert step.options == {"vectorizer": "ngrams"}


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        ("step a = KNNFewShot()\n  step b = KNNFewShot(freeze = [decide])", "decide"),
        ("step a = KNNFewShot()\n  step b = KNNFewShot(tune = [decide])", "condense"),
        # What rewrites instructions keeps demos; what sets demos throws away those that it may change.
        (
            "step a = KNNFewShot()\n  step i = COPRO()\n  step b = KNNFewShot(teacher = a, freeze = [decide])",
            "decide",
        ),
        (
            "step a = KNNFewShot()\n  step l = LabeledFewShot()\n  step b = KNNFewShot(freeze = [decide])",
            None,
        ),
        (
            "step a = KNNFewShot()\n  step l = LabeledFewShot(freeze = [decide])\n"
            "  step b = KNNFewShot(freeze = [decide])",
            "decide",
        ),
        ("step a = KNNFewShot()\n  step b = KNNFewShot()", None),
        ("step a = KNNFewShot(freeze = [decide])\n  step b = KNNFewShot(freeze = [decide])", None),
        ("step a = KNNFewShot()\n  step b = KNNFewShot(student = TwoStep, freeze = [decide])", None),
        # No row has a label for what is between the steps.
        ("step a = KNNFewShot(max_bootstrapped_demos = 0)\n  step b = KNNFewShot(freeze = [condense])", None),
        (
            'step a = KNNFewShot()\n  step b = BetterTogether(k = KNNFewShot(), strategy = "k", freeze = [decide])',
            "decide",
        ),
        (
            'step a = BetterTogether(k = KNNFewShot(), l = LabeledFewShot(), strategy = "k -> l")\n'
            "  step b = KNNFewShot(freeze = [decide])",
            "decide",
        ),
    ],
)
def test_a_program_has_one_index_of_demos(tmp_path: Path, steps: str, held: str | None) -> None:
    found = [one for one in checked(tmp_path, steps).diagnostics if one.severity == "error"]
    if held is None:
        assert not found
        return
    assert [one.code for one in found] == ["DS0632"]
    assert f"leaves `{held}` as it is" in found[0].message
    assert (
        found[0].secondary[0].location.source.text[found[0].secondary[0].location.start :].startswith("KNN")
    )


@pytest.mark.parametrize(
    "step",
    [
        "step a = KNNFewShot()",
        'step a = BetterTogether(k = KNNFewShot(), strategy = "k")',
        "step a = LabeledFewShot()",
    ],
)
def test_an_index_takes_only_so_many_rows(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[str]:
        return [one.message for one in checked(tmp_path, step).diagnostics if one.code == "DS0640"]

    assert found() == []
    monkeypatch.setattr("dspec.compiler.check.chain.indexes.MAX_ROWS", 3)
    wanted = "`KNNFewShot` makes an index of 100 rows, and an index has at most 3"
    assert found() == ([wanted] if "KNN" in step else [])
