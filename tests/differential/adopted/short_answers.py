"""Questions with short answers, from passages that are given."""

import dspy
from dspy.evaluate import Evaluate, answer_exact_match
from dspy.teleprompt import BootstrapFewShot

lm = dspy.LM("openai/gpt-4o-mini", temperature=0.0, max_tokens=500)
dspy.configure(lm=lm)


class ShortAnswer(dspy.Signature):
    """Answer the question from the passages.

    Give names and numbers alone:
      no sentences.
    """

    passages: list[str] = dspy.InputField(desc="what was found")
    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="one to five words")


class Reader(dspy.Module):
    def __init__(self):
        super().__init__()
        self.read = dspy.ChainOfThought(ShortAnswer)

    def forward(self, question, passages):
        return self.read(question=question, passages=passages)


def answered(example, pred, trace=None):
    same = answer_exact_match(example, pred)
    if trace is not None:
        return same and len(pred.answer) < 60
    return same


trainset = [
    dspy.Example(question="Who wrote it?", passages=["Ada wrote it."], answer="Ada").with_inputs(
        "question", "passages"
    ),
    dspy.Example(question="When?", passages=["In 1843."], answer="1843").with_inputs("question", "passages"),
    dspy.Example(question="Where?", passages=["In London."], answer="London").with_inputs(
        "question", "passages"
    ),
]

if __name__ == "__main__":
    optimizer = BootstrapFewShot(metric=answered, max_bootstrapped_demos=2, max_labeled_demos=2)
    compiled = optimizer.compile(Reader(), trainset=trainset)
    evaluate = Evaluate(devset=trainset, metric=answered, num_threads=4, display_progress=True)
    evaluate(compiled)
