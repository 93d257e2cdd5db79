"""Questions that are answered in different ways, by what they are about."""

from typing import Literal

import dspy


class Kind(dspy.Signature):
    """Say what the question is about."""

    question: str = dspy.InputField()
    kind: Literal["sum", "fact", "opinion"] = dspy.OutputField()


class Choosing(dspy.Module):
    def __init__(self):
        super().__init__()
        self.classify = dspy.Predict(Kind)
        self.plan = dspy.ChainOfThought("question -> steps: list[str]")
        self.compute = dspy.Predict("question, steps: list[str] -> answer")
        self.recall = dspy.ChainOfThought("question -> answer")

    def forward(self, question: str):
        found = self.classify(question=question)
        if found.kind == "opinion":
            return dspy.Prediction(answer="no opinion")
        if found.kind == "sum":
            plan = self.plan(question=question)
            text = f"{question} ({len(plan.steps)} steps)"
            result = self.compute(question=text, steps=plan.steps)
            return dspy.Prediction(answer=result.answer)
        return dspy.Prediction(answer=self.recall(question=question).answer)
