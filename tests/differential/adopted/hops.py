"""Several searches, each with a query that is made from what was found before."""

import dspy


class NextQuery(dspy.Signature):
    """Write a query that finds what is still missing."""

    context = dspy.InputField(desc="facts until now")
    question = dspy.InputField()
    query = dspy.OutputField()


class Conclude(dspy.Signature):
    """Answer the question from the facts."""

    context = dspy.InputField(desc="facts until now")
    question = dspy.InputField()
    answer = dspy.OutputField(desc="a few words")


def search(query: str, k: int = 2) -> list[str]:
    """Facts near a query."""
    return [f"fact {number} of {query}" for number in range(k)]


def deduplicate(items: list) -> list:
    return list(dict.fromkeys(items))


class Hops(dspy.Module):
    def __init__(self, passages_per_hop=2, max_hops=2):
        super().__init__()
        self.generate_query = [dspy.ChainOfThought(NextQuery) for _ in range(max_hops)]
        self.conclude = dspy.ChainOfThought(Conclude)
        self.k = passages_per_hop
        self.max_hops = max_hops

    def forward(self, question):
        context = []
        for hop in range(self.max_hops):
            query = self.generate_query[hop](context=context, question=question).query
            passages = search(query, k=self.k)
            context = deduplicate(context + passages)
        pred = self.conclude(context=context, question=question)
        return dspy.Prediction(context=context, answer=pred.answer)
