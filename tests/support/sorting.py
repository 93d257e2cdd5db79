"""A file whose program sorts notes, for tests that compile it on the built-in learner."""

from __future__ import annotations

_DECLARED = """dspec 1

lm learner { model = "embedded/icl" }

type Label = "a" | "b"

signature Sort {
  "Sort a note."
  input text: str
  output label: Label
}

module sorter = Predict(Sort)

dataset notes {
  source = csv("rows.csv")
  input text: str
  field label: Label
  split { train = 25%; val = 50%; test = 25%; seed = 1 }
}

metric right(gold: notes, pred: sorter) {
  score = gold.label == pred.label
}

"""


def sorting(*lines: str) -> str:
    """The file, with an optimize block `sorted` of these further lines; its rows are in `rows.csv`."""
    body = "".join(f"  {line}\n" for line in lines)
    block = f"""optimize sorted {{
  program = sorter
  metric = right
  train = notes.train
  val = notes.val
  seed = 3
{body}}}
"""
    return _DECLARED + block
