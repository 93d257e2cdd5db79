# ruff: noqa: PTH123, T201
"""The references on scanned pages, as records."""

import json
import random

import dspy
import pydantic

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=900))


class Author(pydantic.BaseModel):
    given: str
    family: str


class Entry(pydantic.BaseModel):
    title: str
    authors: list[Author]
    year: int | None = None
    journal: str | None = None


class Read(dspy.Signature):
    """Read every reference on the scanned page."""

    page: dspy.Image = dspy.InputField()
    entries: list[Entry] = dspy.OutputField()


read = dspy.ChainOfThought(Read)


def example(row):
    entries = [Entry(**entry) for entry in row["entries"]]
    return dspy.Example(page=dspy.Image(row["page"]), entries=entries).with_inputs("page")


with open("rows.jsonl") as file:
    rows = [example(json.loads(line)) for line in file]
random.Random(3).shuffle(rows)
train, val, test = rows[:2], rows[2:4], rows[4:]


def leaves(value, path=()):
    if isinstance(value, dict):
        return {leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))}
    if isinstance(value, list):
        return {leaf for place, inner in enumerate(value) for leaf in leaves(inner, (*path, place))}
    return {(path, value)}


def near(gold, pred, trace=None):
    wanted = leaves([entry.model_dump() for entry in gold.entries])
    given = leaves([entry.model_dump() for entry in pred.entries])
    score = len(wanted & given) / max(len(wanted), len(given), 1)
    return score >= 0.8 if trace is not None else score


tuner = dspy.BootstrapFewShot(metric=near, max_bootstrapped_demos=1, max_labeled_demos=1)
better = tuner.compile(read, trainset=train)
on_val = dspy.Evaluate(devset=val, metric=near, num_threads=8)
if on_val(better).score < on_val(read).score:
    better = read
evaluate = dspy.Evaluate(devset=test, metric=near, num_threads=8)
print(evaluate(read), evaluate(better))
better.save("read.json")
