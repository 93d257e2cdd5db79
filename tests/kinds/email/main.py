# ruff: noqa: PTH123, T201
"""What a mail is, whom and what it names, and what is to be done."""

import datetime
import json
import random
from typing import Literal

import dspy
import pydantic

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=600))

Kind = Literal["order", "support", "meeting", "newsletter"]


class Entity(pydantic.BaseModel):
    kind: Literal["person", "product", "date", "amount"]
    value: str


class Classify(dspy.Signature):
    """Say what kind of mail it is."""

    subject: str = dspy.InputField()
    body: str = dspy.InputField()
    kind: Kind = dspy.OutputField()
    urgency: Literal["low", "normal", "high"] = dspy.OutputField()


class Find(dspy.Signature):
    """List what the mail names, as it is written there."""

    body: str = dspy.InputField()
    kind: Kind = dspy.InputField()
    entities: list[Entity] = dspy.OutputField()


class Act(dspy.Signature):
    """Say what is to be done, or nothing."""

    body: str = dspy.InputField()
    entities: list[Entity] = dspy.InputField()
    action: str | None = dspy.OutputField()
    deadline: datetime.date | None = dspy.OutputField()


class Process(dspy.Module):
    def __init__(self):
        super().__init__()
        self.classify = dspy.Predict(Classify)
        self.find = dspy.ChainOfThought(Find)
        self.act = dspy.ChainOfThought(Act)

    def forward(self, subject, body):
        mail = self.classify(subject=subject, body=body)
        found = self.find(body=body, kind=mail.kind)
        todo = self.act(body=body, entities=found.entities)
        return dspy.Prediction(
            kind=mail.kind,
            urgency=mail.urgency,
            entities=found.entities,
            action=todo.action,
            deadline=todo.deadline,
        )


with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("subject", "body") for line in file]
random.Random(9).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def read(gold, pred, trace=None):
    deadline = None if pred.deadline is None else pred.deadline.isoformat()
    named = {one.value for one in pred.entities}
    hits = sum(value in named for value in gold.values) / max(len(gold.values), 1)
    score = ((gold.kind == pred.kind) + (gold.deadline == deadline) + hits) / 3
    return score >= 0.6 if trace is not None else score


tuner = dspy.BootstrapFewShot(metric=read, max_bootstrapped_demos=2, max_labeled_demos=2)
better = tuner.compile(Process(), trainset=train)
on_val = dspy.Evaluate(devset=val, metric=read, num_threads=8)
if on_val(better).score < on_val(Process()).score:
    better = Process()
evaluate = dspy.Evaluate(devset=test, metric=read, num_threads=8)
print(evaluate(Process()), evaluate(better))
better.save("process.json")
