"""A summary of summaries."""

import dspy

INTRO = "You write for a weekly paper."
LENGTH = 3


class Chapter(dspy.Signature):
    __doc__ = INTRO + " Summarise the chapter."

    chapter: str = dspy.InputField()
    summary: str = dspy.OutputField(desc=f"at most {LENGTH} sentences")


class Whole(dspy.Signature):
    """Put the summaries together."""

    summaries: str = dspy.InputField()
    title: str = dspy.InputField()
    text: str = dspy.OutputField()


class Chapters(dspy.Module):
    def __init__(self):
        super().__init__()
        self.summarise = dspy.ChainOfThought(Chapter)
        self.combine = dspy.Predict(Whole)

    def _titled(self, title):
        return title.strip().upper()

    def forward(self, title: str, chapters: list[str]):
        summaries = []
        for number, chapter in enumerate(["first", "second"]):
            made = self.summarise(chapter=f"{number}. {chapter}: {chapters[number]}")
            summaries.append(made.summary)
        return self.combine(summaries="\n\n".join(summaries), title=self._titled(title))
