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


ASK = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
signature Ask { "Answer the question."; input question: str; output answer: str; output sources: list[str] }
module ask = Predict(Ask)
"""


def program(*lines: str, header: str = "program P(question: str) -> (answer: str)") -> str:
    return ASK + header + " {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


HEAD = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'


CALL = "let a = ask(question = question)"


RETURN = "return answer = a.answer"

PIPELINE = (
    DATA
    + """\
module condense = Predict(sig(text -> gist))
module decide = Predict(sig(gist -> topic))
program Answer(text: str) -> (topic: str) {
  let short = condense(text = text)
  let last = decide(gist = short.gist)
  return topic = last.topic
}
metric right(gold: tickets, pred: Answer) = gold.topic == pred.topic
"""
)


def block(*lines: str) -> str:
    return METRIC + optimize(*lines)


def pipeline(*lines: str) -> str:
    return PIPELINE + optimize(*lines).replace("program = router", "program = Answer")


LMS = {"lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'}
