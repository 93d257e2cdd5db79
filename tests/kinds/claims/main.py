# ruff: noqa: PTH123, T201
"""Verifies a claim in several hops of search, with notes kept on the way."""

import json
import random
from typing import Literal

import bm25s
import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=600))

with open("passages.jsonl") as file:
    passages = [json.loads(line)["text"] for line in file]
index = bm25s.BM25()
index.index(bm25s.tokenize(passages, stopwords="en"))


def search(query, k=2):
    found, _ = index.retrieve(bm25s.tokenize(query, stopwords="en"), k=k)
    return [passages[place] for place in found[0]]


class Verify(dspy.Module):
    def __init__(self, hops=3):
        super().__init__()
        self.hops = hops
        self.queries = dspy.ChainOfThought("claim, notes: list[str] -> query")
        self.append = dspy.ChainOfThought(
            "claim, notes: list[str], passages: list[str] -> new_notes: list[str]"
        )
        self.judge = dspy.ChainOfThought(
            dspy.Signature("claim, notes: list[str] -> verdict").with_updated_fields(
                "verdict", type_=Literal["supported", "refuted"]
            )
        )

    def forward(self, claim):
        notes = self.append(claim=claim, notes=[], passages=search(claim)).new_notes
        for _ in range(self.hops):
            query = self.queries(claim=claim, notes=notes).query
            notes = self.append(claim=claim, notes=notes, passages=search(query)).new_notes
        verdict = self.judge(claim=claim, notes=notes).verdict
        return dspy.Prediction(verdict=verdict, notes=notes)


with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("claim") for line in file]
random.Random(2).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def verified(gold, pred, trace=None):
    if gold.verdict != pred.verdict:
        return False if trace is not None else 0.0
    named = [any(title in note for note in pred.notes) for title in gold.titles]
    score = sum(named) / len(named)
    return score >= 0.5 if trace is not None else score


tuner = dspy.MIPROv2(metric=verified, auto=None, num_candidates=2, num_threads=8)
better = tuner.compile(
    Verify(),
    trainset=train,
    valset=val,
    num_trials=3,
    max_bootstrapped_demos=1,
    max_labeled_demos=2,
    minibatch=False,
)
evaluate = dspy.Evaluate(devset=test, metric=verified, num_threads=8, display_progress=True)
print(evaluate(Verify()), evaluate(better))
better.save("verify.json")
