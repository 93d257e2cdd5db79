# ruff: noqa: PTH123, T201
"""How one sentence follows from another."""

import csv
import random
from typing import Literal

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=300))
large = dspy.LM("openai/gpt-4o", max_tokens=600)


class Compare(dspy.Signature):
    """Say how the second sentence follows from the first."""

    premise: str = dspy.InputField()
    hypothesis: str = dspy.InputField()
    relation: Literal["entails", "contradicts", "neither"] = dspy.OutputField()


compare = dspy.ChainOfThought(Compare)

with open("rows.csv") as file:
    rows = [dspy.Example(**row).with_inputs("premise", "hypothesis") for row in csv.DictReader(file)]
random.Random(6).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def right(gold, pred, trace=None):
    return gold.relation == pred.relation


tuner = dspy.BootstrapFewShot(
    metric=right,
    max_bootstrapped_demos=2,
    max_labeled_demos=4,
    teacher_settings={"lm": large},
)
better = tuner.compile(compare, trainset=train)
on_val = dspy.Evaluate(devset=val, metric=right, num_threads=8)
if on_val(better).score < on_val(compare).score:
    better = compare
evaluate = dspy.Evaluate(devset=test, metric=right, num_threads=8)
print(evaluate(compare), evaluate(better))
better.save("compare.json")
