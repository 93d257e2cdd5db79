# ruff: noqa: PTH123, T201
"""Three slogans, a critique of each, and the best of them."""

import csv
import random

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=500))
large = dspy.LM("openai/gpt-4o", temperature=0.0, max_tokens=600)


class Write(dspy.Signature):
    """Write a slogan of at most eight words."""

    product: str = dspy.InputField()
    attempt: int = dspy.InputField()
    slogan: str = dspy.OutputField()


class Critique(dspy.Signature):
    """Say what is weak about the slogan."""

    product: str = dspy.InputField()
    slogan: str = dspy.InputField()
    weakness: str = dspy.OutputField()


class Rank(dspy.Signature):
    """Choose the best slogan in view of what is weak about each."""

    slogans: list[str] = dspy.InputField()
    weaknesses: list[str] = dspy.InputField()
    best: str = dspy.OutputField()


class Mark(dspy.Signature):
    """Mark from 0 to 1: the slogan speaks to the audience and is no cliché."""

    audience: str = dspy.InputField()
    slogan: str = dspy.InputField()
    score: float = dspy.OutputField()


class Slogan(dspy.Module):
    def __init__(self):
        super().__init__()
        self.writer = dspy.ChainOfThought(Write)
        self.critic = dspy.Predict(Critique)
        self.ranker = dspy.ChainOfThought(Rank)

    def forward(self, product):
        drafts = [self.writer(product=product, attempt=i).slogan for i in range(3)]
        flaws = [self.critic(product=product, slogan=draft).weakness for draft in drafts]
        return dspy.Prediction(slogan=self.ranker(slogans=drafts, weaknesses=flaws).best)


with open("rows.csv") as file:
    rows = [dspy.Example(**row).with_inputs("product") for row in csv.DictReader(file)]
random.Random(7).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]

mark = dspy.ChainOfThought(Mark)


def catchy(gold, pred, trace=None):
    if len(pred.slogan.split()) > 8:
        score = 0.0
    else:
        with dspy.context(lm=large):
            score = mark(audience=gold.audience, slogan=pred.slogan).score
    return score >= 0.7 if trace is not None else score


tuner = dspy.COPRO(prompt_model=large, metric=catchy, breadth=2, depth=1)
better = tuner.compile(Slogan(), trainset=train, eval_kwargs={"num_threads": 8})
on_val = dspy.Evaluate(devset=val, metric=catchy, num_threads=8)
if on_val(better).score < on_val(Slogan()).score:
    better = Slogan()
evaluate = dspy.Evaluate(devset=test, metric=catchy, num_threads=8)
print(evaluate(Slogan()), evaluate(better))
better.save("slogan.json")
