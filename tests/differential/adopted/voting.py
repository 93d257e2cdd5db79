"""Several answers, of which the most frequent counts."""

import dspy


class Voting(dspy.Module):
    def __init__(self):
        super().__init__()
        self.solve = dspy.ChainOfThought("problem -> answer", temperature=0.8)
        self.explain = dspy.Predict(
            dspy.Signature("problem, answer -> explanation", "Explain the answer to a child.")
        )

    def forward(self, problem):
        answer = dspy.majority([self.solve(problem=problem) for _ in range(3)], field="answer").answer
        told = self.explain(problem=problem, answer=answer)
        return dspy.Prediction(answer=answer, explanation=told.explanation)
