"""What cannot be said: a loop without a bound, and code that fails."""

import json

import dspy


class Stubborn(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.ChainOfThought("question, wrong -> answer")

    def forward(self, question):
        wrong = ""
        while True:
            found = self.ask(question=question, wrong=wrong)
            try:
                return dspy.Prediction(answer=json.loads(found.answer))
            except ValueError as error:
                wrong = str(error)
