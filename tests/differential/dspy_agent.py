"""DSPy's agent over `examples/questions`, compiled with its MIPROv2. Runs in DSPy's environment:

    python dspy_agent.py CASE.json RESULT.json

The case has the rows, the model's address, and what each search finds.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import dspy
from dspy.evaluate import answer_exact_match
from dspy.teleprompt import MIPROv2
from dspy.utils.hasher import Hasher


def examples(rows: list[dict[str, str]]) -> list[dspy.Example]:
    return [dspy.Example(**row).with_inputs("question") for row in rows]


def drawing(draws: dict[str, list[int]]) -> None:
    """Of several calls of one predictor DSPy keeps one, drawn from a seed that is the hash of Python objects. Here it is a seed that
    draws the call which this project draws of that row: `draws` has it by question and number of calls."""

    def seed(demos: Sequence[dspy.Example]) -> int:
        wanted = draws[demos[0]["question"]][len(demos) - 1]
        return next(number for number in count() if place(random.Random(number), len(demos)) == wanted)

    Hasher.hash = seed


def place(draws: random.Random, calls: int) -> int:
    """The call that DSPy keeps."""
    return draws.choice(range(calls - 1)) if draws.random() < 0.5 else calls - 1


def main() -> None:
    case: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.disable(logging.WARNING)
    found: dict[str, list[str]] = case["searches"]

    def search(query: str) -> list[str]:
        """The passages that fit the query best, each with its title."""
        return found[query]

    lm = dspy.LM(
        f"openai/{case['model']}",
        api_base=case["url"],
        api_key="none",
        cache=case["cache"],
        temperature=0.0,
        max_tokens=1000,
    )
    dspy.configure(lm=lm)
    if "draws" in case:
        drawing(case["draws"])
    # DSPy draws from the global generator when it builds predictors; nothing may depend on that.
    random.seed(1)
    signature = dspy.Signature("question -> answer", "Answer the question in a few words.")
    agent = dspy.ReAct(signature, tools=[search], max_iters=5)
    train, val, test = (examples(case[part]) for part in ("train", "val", "test"))
    with contextlib.redirect_stdout(io.StringIO()):
        mipro = MIPROv2(metric=answer_exact_match, auto="light", num_threads=8, seed=case["seed"])
        made = mipro.compile(agent, trainset=train, valset=val)
        scored = [
            dspy.Evaluate(devset=test, metric=answer_exact_match, num_threads=8, display_progress=False)(
                one
            ).score
            for one in (agent, made)
            if test
        ]
    result = {
        "state": json.loads(json.dumps(made.dump_state())),
        "candidates": [one["score"] for one in made.candidate_programs],
        "score": made.score,
        "test": scored,
    }
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
