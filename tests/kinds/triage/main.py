# ruff: noqa: PTH123, T201
"""Tickets of an IT help desk: team, priority and a reply that a judge marks."""

import json
import random
from typing import Literal

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=500))
large = dspy.LM("openai/gpt-4o", temperature=0.0, max_tokens=600)


class Triage(dspy.Signature):
    """Assign the ticket of an IT help desk, and tell its sender what happens next."""

    ticket: str = dspy.InputField()
    team: Literal["network", "accounts", "hardware", "software"] = dspy.OutputField()
    priority: Literal["p1", "p2", "p3"] = dspy.OutputField()
    reply: str = dspy.OutputField()


class Mark(dspy.Signature):
    """Mark from 0 to 1: the reply is polite, fits the ticket and promises no time."""

    ticket: str = dspy.InputField()
    reply: str = dspy.InputField()
    score: float = dspy.OutputField()


triage = dspy.ChainOfThought(Triage)
mark = dspy.ChainOfThought(Mark)

with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("ticket") for line in file]
random.Random(8).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]


def handled(gold, pred, trace=None, pred_name=None, pred_trace=None):
    with dspy.context(lm=large):
        judged = mark(ticket=gold.ticket, reply=pred.reply)
    score = (
        0.4 * (gold.team == pred.team)
        + 0.2 * (gold.priority == pred.priority)
        + 0.4 * min(max(judged.score, 0.0), 1.0)
    )
    feedback = f"team {gold.team}, priority {gold.priority}. {judged.reasoning}"
    return dspy.Prediction(score=score, feedback=feedback)


def accepted(gold, pred, trace=None):
    return handled(gold, pred).score >= 0.8


bootstrap = dspy.BootstrapFewShot(metric=accepted, max_bootstrapped_demos=2, max_labeled_demos=2)
shown = bootstrap.compile(triage, trainset=train)
tuner = dspy.GEPA(metric=handled, max_metric_calls=16, reflection_lm=large)
better = tuner.compile(shown, trainset=train, valset=val)
evaluate = dspy.Evaluate(devset=test, metric=handled, num_threads=8)
print(evaluate(triage), evaluate(better))
better.save("triage.json")
