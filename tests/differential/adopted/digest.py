"""Mails as a digest: a program in a program, what is optimized and how it is scored."""

import os

import dspy
from dspy.teleprompt import MIPROv2

mini = dspy.LM("openai/gpt-4o-mini", api_key=os.getenv("OPENAI_API_KEY"), temperature=0.2)
large = dspy.LM("openai/gpt-4o", max_tokens=2000)
dspy.configure(lm=mini)


class Tasks(dspy.Signature):
    """List what the mail asks for."""

    mail: str = dspy.InputField()
    tasks: list[str] = dspy.OutputField()


class Single(dspy.Module):
    def __init__(self):
        super().__init__()
        self.find = dspy.ChainOfThought(Tasks)
        self.rank = dspy.Predict("tasks: list[str] -> first: str, tone: str")

    def forward(self, mail: str):
        found = self.find(mail=mail)
        ranked = self.rank(tasks=found.tasks)
        return dspy.Prediction(tasks=found.tasks, first=ranked.first, tone=ranked.tone)


class Digest(dspy.Module):
    def __init__(self):
        super().__init__()
        self.single = Single()
        self.tell = dspy.Predict("first, count: int -> digest")

    def forward(self, mail: str):
        out = self.single(mail=mail)
        told = self.tell(first=out.first, count=len(out.tasks))
        urgent = "now" in out.tone.lower() or len(out.tasks) > 3
        return dspy.Prediction(digest=told.digest, urgent=urgent)


def good(example, pred, trace=None):
    right = 1.0 if example.urgent == pred.urgent else 0.0
    short = 1.0 if len(pred.digest) <= 200 else 0.5
    score = 0.75 * right + 0.25 * short
    return score if trace is None else score >= 0.9


trainset = [
    dspy.Example(mail="Send it now!", urgent=True).with_inputs("mail"),
    dspy.Example(mail="Whenever you like.", urgent=False).with_inputs("mail"),
]
devset = [
    dspy.Example(mail="Call me now", urgent=True).with_inputs("mail"),
    dspy.Example(mail="Hello", urgent=False).with_inputs("mail"),
]

if __name__ == "__main__":
    tuned = MIPROv2(metric=good, prompt_model=large, auto="light", num_threads=8).compile(
        Digest(), trainset=trainset, valset=devset, max_bootstrapped_demos=2, max_labeled_demos=2
    )
    dspy.Evaluate(devset=devset, metric=good)(tuned)
