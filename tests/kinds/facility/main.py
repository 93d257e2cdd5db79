# ruff: noqa: PTH123, T201
"""What a message to a facility's service desk is about, how urgent it is and how its sender feels."""

import json
import random
from typing import Literal

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=400))

CATEGORIES = ("emergency_repair", "routine_repair", "cleaning", "quality", "training", "other")
Category = Literal["emergency_repair", "routine_repair", "cleaning", "quality", "training", "other"]


class HowUrgent(dspy.Signature):
    """Judge how soon somebody must act on the message."""

    message: str = dspy.InputField()
    urgency: Literal["low", "medium", "high"] = dspy.OutputField()


class HowFelt(dspy.Signature):
    """Judge how the sender feels."""

    message: str = dspy.InputField()
    sentiment: Literal["positive", "neutral", "negative"] = dspy.OutputField()


class WhatAbout(dspy.Signature):
    """Name every kind of service that the message is about."""

    message: str = dspy.InputField()
    categories: list[Category] = dspy.OutputField()


class Analyze(dspy.Module):
    def __init__(self):
        super().__init__()
        self.urgency = dspy.ChainOfThought(HowUrgent)
        self.sentiment = dspy.ChainOfThought(HowFelt)
        self.categories = dspy.ChainOfThought(WhatAbout)

    def forward(self, message):
        return dspy.Prediction(
            urgency=self.urgency(message=message).urgency,
            sentiment=self.sentiment(message=message).sentiment,
            categories=self.categories(message=message).categories,
        )


with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("message") for line in file]
random.Random(1).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def handled(gold, pred, trace=None, pred_name=None, pred_trace=None):
    urgency = gold.urgency == pred.urgency
    sentiment = gold.sentiment == pred.sentiment
    hits = [wanted == (name in pred.categories) for name, wanted in gold.categories.items()]
    score = (urgency + sentiment + sum(hits) / len(hits)) / 3
    if pred_name is None:
        return score
    if pred_name.startswith("urgency"):
        feedback = "right" if urgency else f"the urgency is {gold.urgency}"
    elif pred_name.startswith("sentiment"):
        feedback = "right" if sentiment else f"the sentiment is {gold.sentiment}"
    else:
        wanted = [name for name, holds in gold.categories.items() if holds]
        feedback = f"{sum(hits)} of {len(hits)} are right; it is about {', '.join(wanted)}"
    return dspy.Prediction(score=score, feedback=feedback)


tuner = dspy.GEPA(
    metric=handled,
    max_metric_calls=40,
    reflection_lm=dspy.LM("openai/gpt-4o", temperature=1.0, max_tokens=4000),
)
better = tuner.compile(Analyze(), trainset=train, valset=val)
evaluate = dspy.Evaluate(devset=test, metric=handled, num_threads=8)
print(evaluate(Analyze()), evaluate(better))
better.save("analyze.json")
