"""The corpus of wrong programs, and what stands beside each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "compiler" / "corpus"
MARK = "#!"
SHARES = f"{MARK} shares "
HEADING = "\n== "
TOPICS = ("billing", "shipping", "returns")
BESIDE = {
    "dspec.toml": "",
    "abstracts.jsonl": '{"title": "Owls", "text": "Owls hunt at night."}\n' * 3,
    "talks.jsonl": '{"past": [{"question": "Who?", "answer": "Ada."}], "question": "When?", "answer": "1842"}\n'
    '{"past": [{"question": "Who?"}], "question": "Where?", "answer": "Turin"}\n',
    "tools.py": """import datetime

def search(query: str, k: int = 3) -> list[str]:
    \"\"\"Finds notes that share words with the query.\"\"\"
    return []

def count(text: str, /, unit: str) -> int:
    return 0

async def today(zone: "str | None" = None) -> datetime.date:
    ...

def messages():
    yield {"text": "a parcel", "topic": "shipping"}

def price(sku, *, quantity: float, **more): ...

class Marks: ...

""",
    "own.py": """def forward(question: str, call) -> dict:
    return call("ask", question=question)

async def route(text, call):
    return await call("ask", text=text)

def shorten(text: str) -> str:
    return text[:80]
""",
    "lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n',
    "state.json": """{"router": {"traces": [], "train": [], "lm": null,
 "demos": [{"augmented": true, "text": "a lost parcel", "topic": "shipping"}],
 "signature": {"instructions": "Name the topic.", "fields": [
  {"prefix": "Text:", "description": "${text}"}, {"prefix": "Topic:", "description": "${topic}"}]}},
 "metadata": {"dependency_versions": {"dspy": "3.4.1"}}}
""",
    "loose.dspc.json": """{"format": 1, "name": "loose", "program": {
 "name": "router",
 "inputs": [{"name": "text", "type": {"kind": "scalar", "name": "str"}}],
 "outputs": [{"name": "topic", "type": {"kind": "scalar", "name": "str"}}],
 "steps": [{"kind": "call", "name": "out", "predictor": "router",
  "arguments": {"text": {"op": "variable", "name": "text"}}}],
 "returns": {"topic": {"op": "member", "target": {"op": "variable", "name": "out"}, "name": "topic"}},
 "predictors": {"router": {"strategy": "Predict", "lm": "mini", "signature": {
   "name": "Route", "instruction": "Name the topic.",
   "inputs": [{"name": "text", "type": {"kind": "scalar", "name": "str"}}],
   "outputs": [{"name": "topic", "type": {"kind": "scalar", "name": "str"}}]},
  "demos": [{"inputs": {"text": "a lost parcel"}, "outputs": {"topic": "shipping"}}]}},
 "lms": {"mini": {"name": "mini", "model": "openai/gpt-4o-mini"}}}}
""",
    "minutes.csv": "text,topic\n"
    f"short,billing\n{'on and on ' * 6000},returns\n"
    f"{'and so on ' * 5001},billing\n",
    "tickets.csv": "text,topic\n"
    + "".join(f"message {n} about {TOPICS[n % 3]},{TOPICS[n % 3]}\n" for n in range(180)),
}
"""What stands beside every program, and a folder `data`."""


@dataclass(frozen=True)
class Case:
    """A wrong program. `before` are the lines that it shares with others, and `own` the text of its file behind them."""

    head: str
    """The line that names what it shares; empty where that is nothing."""
    before: str
    own: str
    expected: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.before + self.own

    def line(self, number: int) -> int:
        """The line of the case's file that is so far down the program."""
        return number - self.before.count("\n") + self.head.count("\n")


def case(text: str) -> Case:
    """What a file of the corpus says."""
    head, before = "", ""
    if text.startswith(SHARES):
        head, own = text[: text.index("\n") + 1], text[text.index("\n") + 1 :]
        before = "".join(
            f"{part}\n" for part in ("dspec 1\n", *map(shared, head.removeprefix(SHARES).split()))
        )
    else:
        own = text
    own, _, rest = own.partition(MARK)
    expected = [line.removeprefix(MARK).strip() for line in (MARK + rest).splitlines()] if rest else []
    return Case(head, before, own, tuple(expected))


def shared(name: str) -> str:
    """The text under a heading of `shared.txt`."""
    text = (CORPUS / "shared.txt").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"{HEADING}{name}\n")
    assert found, f"nothing is shared as {name}"
    return rest.partition(HEADING)[0]
