"""An agent with two tools."""

import dspy


def search(query: str) -> list[str]:
    """Facts near a query."""
    return [f"fact of {query}"]


def convert(amount: float, unit: str = "km") -> float:
    """Miles as another unit."""
    return amount * 1.609 if unit == "km" else amount


class Distance(dspy.Signature):
    """Find the distance."""

    question: str = dspy.InputField()
    kilometres: float = dspy.OutputField()


agent = dspy.ReAct(Distance, tools=[search, dspy.Tool(convert)], max_iters=4)
