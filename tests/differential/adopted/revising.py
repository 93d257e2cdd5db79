"""A text that is written, judged and written anew until it is good."""

import dspy


class Judge(dspy.Signature):
    """Say what is wrong with the draft, and whether it may stand."""

    topic: str = dspy.InputField()
    draft: str = dspy.InputField()
    note: str = dspy.OutputField()
    good: bool = dspy.OutputField()


class Revising(dspy.Module):
    def __init__(self, rounds: int = 3):
        super().__init__()
        self.rounds = rounds
        self.write = dspy.Predict("topic -> draft")
        self.judge = dspy.ChainOfThought(Judge)
        self.revise = dspy.Predict("topic, draft, note -> better")

    def forward(self, topic: str):
        draft = self.write(topic=topic).draft
        for _ in range(self.rounds):
            verdict = self.judge(topic=topic, draft=draft)
            if verdict.good:
                break
            draft = self.revise(topic=topic, draft=draft, note=verdict.note).better
        return dspy.Prediction(draft=draft)
