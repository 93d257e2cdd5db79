"""A model that plays an agent over `examples/questions`, or takes the steps of its `TwoHop`, for both sides of a comparison. As
a program it serves on loopback and prints its address:

    python searching.py [SECONDS BEFORE EACH ANSWER]

It knows the questions, and so what a good next step is: look for what the question names, then for what that leads to, then
stop. How often it takes that step, and how often it reads the answer off what was found, depends on the prompt: on the hint
in the instruction, and on demos of questions of the same kind. Else it searches for the whole question, stops too early, or answers with
what it found first. The same prompt always gets the same answer, and whose layout the prompt has makes no difference.

The model's name says `SIDE.SALT.EVERY`. Another salt is another model of the same kind. Whoever asks for an instruction is given
the current one and one of `HINTS`: by the order of asking where DSPy asks for `EVERY` instructions a predictor and throws the first one
away, so that both sides are given the same; by the prompt where `EVERY` is 0.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from prompts import Asked, Fields, UnknownLayout, read  # noqa: E402
from server import Call, FakeServer  # noqa: E402

QUESTIONS = HERE.parents[1] / "examples" / "questions"
FOUND = 3
PROPOSALS = {"instruction", "proposed_instruction"}
INSTRUCTION = "Answer the question in a few words."
HINTS = {
    "Search for one name at a time.": 1.0,
    "Look up what the question names first, and then what that leads to.": 0.9,
    "Stop only when every link of the chain was read.": 0.8,
    "Copy the answer from a passage.": 0.6,
    "Use as few steps as you can.": 0.0,
    "Be helpful.": 0.3,
    "Think about geography.": 0.4,
    "Write a query of keywords.": 0.5,
    "Answer like an expert.": 0.3,
    "Trust what you know.": 0.1,
    "Name the thing, not its country.": 0.5,
    "Check the answer against the question.": 0.7,
}
PLAIN = 0.35
"""How much an instruction without a hint helps."""


@dataclass(frozen=True)
class Known:
    """A question, its answer and the titles of the passages that lead to it, in order."""

    answer: str
    titles: tuple[str, ...]


@cache
def known() -> dict[str, Known]:
    return {row["question"]: Known(row["answer"], tuple(row["titles"])) for row in rows("questions")}


@cache
def passages() -> dict[str, str]:
    """Titles by text."""
    return {row["text"]: row["title"] for row in rows("passages")}


def rows(name: str) -> list[dict[str, Any]]:
    text = (QUESTIONS / "data" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def queries() -> list[str]:
    """All that the model ever searches for."""
    return [*known(), *sorted({title for one in known().values() for title in one.titles})]


def searches() -> dict[str, list[str]]:
    """What the search of the example gives for each."""
    from dspec.runtime.index.bm25 import WordIndex

    texts = list(passages())
    index = WordIndex.build(texts)
    return {query: [texts[place] for place, _ in index.search(query, FOUND)] for query in queries()}


@dataclass(frozen=True)
class State:
    """What a prompt says of a run: the question, the steps until now, and the titles that they found."""

    question: str
    steps: int
    titles: tuple[str, ...]


def state(fields: Fields) -> State:
    """DSPy heads each part of a step like a field; here a trajectory is one field of JSON."""
    told = [
        text
        for name, text in fields.items()
        if name in ("trajectory", "passages") or name.startswith("observation_")
    ]
    steps = sum(name.startswith("tool_name_") for name in fields)
    if fields.get("trajectory", "").startswith("["):
        steps = len(json.loads(fields["trajectory"]))
    whole = "\n".join(told)
    places = {title: whole.find(text) for text, title in passages().items()}
    titles = sorted((title for title, place in places.items() if place >= 0), key=lambda title: places[title])
    return State(fields.get("question", ""), steps, tuple(titles))


def kind(question: str) -> str:
    return " ".join(question.split()[:3])


def hint(instruction: str) -> str:
    return next((one for one in HINTS if one in instruction), "")


def shown(asked: Asked) -> list[Any]:
    """The demos that have what is asked for, whoever laid them out."""
    wanted = asked.outputs[-1]
    return [
        [
            state(inputs).question,
            state(inputs).titles,
            state(inputs).steps,
            outputs.get("next_tool_name"),
            value(outputs[wanted]),
        ]
        for inputs, outputs in asked.demos
        if wanted in outputs
    ]


def value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def answer(asked: Asked, salt: str) -> dict[str, str]:
    """The next step, or the answer."""
    at, demos = state(asked.inputs), shown(asked)
    acts = "next_tool_name" in asked.outputs
    given = hint(asked.instruction)
    searches = "query" in asked.outputs
    recipe = [salt, acts, given, demos, at.question, at.titles, at.steps, *(["query"] if searches else [])]
    number = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    first, second = (int(number[i : i + 8], 16) / 0xFFFFFFFF for i in (0, 8))
    alike = min(1.0, sum(kind(demo[0]) == kind(at.question) for demo in demos) / 2)
    some = min(1.0, len(demos) / 3)
    skill = 0.5 * HINTS.get(given, PLAIN) + 0.3 * alike + 0.2 * some
    fact = known()[at.question]
    missing = [title for title in fact.titles if title not in at.titles]
    if searches:
        query = missing[0] if missing and first < 0.45 + 0.4 * skill else at.question
        return {"reasoning": f"That is missing, {number[16:20]}.", "query": query}
    if not acts:
        right = not missing and first < 0.6 + 0.3 * skill
        wrong = at.titles[0] if at.titles else "nothing that was found"
        said = fact.answer if right else wrong
        return {"reasoning": f"The passages say so, {number[16:20]}.", "answer": said}
    if first < 0.45 + 0.4 * skill:
        return step(f"Missing: {', '.join(missing) or 'nothing'}.", missing[0] if missing else None)
    return step(f"Not sure, {number[16:20]}.", at.question if second < 0.5 else None)


def step(thought: str, query: str | None) -> dict[str, str]:
    tool = "finish" if query is None else "search"
    arguments = {} if query is None else {"query": query}
    return {
        "next_thought": thought,
        "next_tool_name": tool,
        "next_tool_args": json.dumps(arguments, ensure_ascii=False),
    }


class Searcher:
    """The model, with what it was asked for so far."""

    def __init__(self) -> None:
        self._proposals: Counter[str] = Counter()

    def __call__(self, call: Call) -> str:
        name: str = call.body["model"]
        side, salt, every = name.split(".")
        try:
            asked = read(call.body["messages"])
        except UnknownLayout as error:
            sys.stderr.write(f"{name}: {error}\n")
            return "unknown layout"
        if {"next_tool_name", "answer", "query"} & set(asked.outputs):
            values = answer(asked, salt)
        else:
            values = dict.fromkeys(asked.outputs, "Little to say.")
            if PROPOSALS & set(asked.outputs):
                proposed = self._proposal(call, side, int(every))
                values |= dict.fromkeys(PROPOSALS & set(asked.outputs), proposed)
        sections = [f"[[ ## {output} ## ]]\n{values[output]}" for output in asked.outputs]
        return "\n\n".join([*sections, "[[ ## completed ## ]]"])

    def _proposal(self, call: Call, side: str, every: int) -> str:
        name = call.body["model"]
        if not every:
            number = int(call.digest, 16)
        else:
            asked, thrown = self._proposals[name], side != "dspy"
            self._proposals[name] += 1
            number = asked // (every - thrown) * every + asked % (every - thrown) + thrown
        return f"{INSTRUCTION} {list(HINTS)[number % len(HINTS)]}"


async def main(latency: float) -> None:
    server = FakeServer(Searcher(), latency=latency)
    await server.start(0)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
