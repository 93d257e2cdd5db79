# ruff: noqa: PTH123, T201
"""Claims of a passage, each marked by a judge."""

import json
import random

import dspy
from dspy.evaluate import SemanticF1

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=600))
large = dspy.LM("openai/gpt-4o", temperature=0.0, max_tokens=600)


class Extract(dspy.Signature):
    """List the claims of the passage that can be checked, each a sentence that needs no other."""

    passage: str = dspy.InputField()
    claims: list[str] = dspy.OutputField()


class Bears(dspy.Signature):
    """Mark from 0 to 1 whether the passage says it."""

    passage: str = dspy.InputField()
    claim: str = dspy.InputField()
    score: float = dspy.OutputField()


def few(arguments, pred):
    return 1.0 if len(pred.claims) <= 6 else 0.0


extract = dspy.Refine(module=dspy.ChainOfThought(Extract), N=3, reward_fn=few, threshold=1.0)
bears = dspy.ChainOfThought(Bears)
semantic = SemanticF1()

with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("passage") for line in file]
random.Random(4).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def faithful(gold, pred, trace=None, pred_name=None, pred_trace=None):
    if not pred.claims:
        return dspy.Prediction(score=0.0, feedback="no claim was found")
    reasons, marks = [], []
    with dspy.context(lm=large):
        for claim in pred.claims[:6]:
            judged = bears(passage=gold.passage, claim=claim)
            marks.append(judged.score)
            reasons.append(judged.reasoning)
        found = semantic(
            dspy.Example(question="", response=" ".join(gold.claims)),
            dspy.Prediction(response=" ".join(pred.claims)),
        )
    score = 0.5 * sum(marks) / len(marks) + 0.5 * found
    return dspy.Prediction(score=score, feedback="\n".join(reasons))


tuner = dspy.GEPA(metric=faithful, max_metric_calls=20, reflection_lm=large)
better = tuner.compile(extract, trainset=train, valset=val)
evaluate = dspy.Evaluate(devset=test, metric=faithful, num_threads=8)
print(evaluate(extract), evaluate(better))
better.save("extract.json")
