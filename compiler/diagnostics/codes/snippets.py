"""Declarations that many of the codes' snippets start from, and the data they read."""

from __future__ import annotations

TOPICS = ("billing", "shipping", "returns")

TICKETS_CSV = "text,topic\n" + "".join(
    f"message number {number} about {TOPICS[number % 3]},{TOPICS[number % 3]}\n" for number in range(120)
)

TICKETS = {"tickets.csv": TICKETS_CSV}

TOOLS = {
    "tools.py": "def search(query: str, k: int = 3) -> list[str]:\n"
    '    """Finds notes that share words with the query."""\n'
    "    return []\n"
}

MODULE = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
signature Route { "Decide what the message is about."; input text: str; output topic: str }
module router = Predict(Route)
"""

DATA = (
    MODULE
    + """\
dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: str
  split { train = 50%; val = 30%; test = 20% }
}
"""
)

METRIC = DATA + "metric right(gold: tickets, pred: router) = gold.topic == pred.topic\n"

GRADED = DATA + "metric near(gold: tickets, pred: router) { score = f1(gold.topic, pred.topic) }\n"


def optimize(*lines: str) -> str:
    """An optimize block over the declarations above, with further lines."""
    body = "".join(f"  {line}\n" for line in lines)
    return (
        "optimize v1 {\n  program = router; metric = right; train = tickets.train; val = tickets.val\n"
        + body
        + "}\n"
    )
