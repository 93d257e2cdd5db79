"""DSPy's `TwoHop` of `examples/questions`, compiled and scored on held-out rows, for `hops.py`. Runs in DSPy's environment:

python bench/contenders/hops.py CASE.json RESULT.json
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import statistics
import sys
import urllib.request
from pathlib import Path
from typing import Any

import dspy
from dspy.evaluate import answer_exact_match
from dspy.teleprompt import BootstrapFewShotWithRandomSearch, MIPROv2


class NextQuery(dspy.Signature):
    """Write a search query for what is still missing to answer the question."""

    question: str = dspy.InputField()
    passages: list[str] = dspy.InputField(desc="what earlier searches have found")
    query: str = dspy.OutputField()


class AnswerFrom(dspy.Signature):
    """Answer the question from the passages, in a few words."""

    passages: list[str] = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class TwoHop(dspy.Module):
    def __init__(self, searches: dict[str, list[str]]) -> None:
        super().__init__()
        self.searches = searches
        self.first_query = dspy.ChainOfThought(NextQuery)
        self.second_query = dspy.ChainOfThought(NextQuery)
        self.answer_both = dspy.ChainOfThought(AnswerFrom)

    def forward(self, question: str) -> dspy.Prediction:
        first = self.first_query(question=question, passages=[])
        found = self.searches[first.query]
        second = self.second_query(question=question, passages=found)
        passages = list(dict.fromkeys(found + self.searches[second.query]))
        return dspy.Prediction(answer=self.answer_both(passages=passages, question=question).answer)


def main() -> None:
    case: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.disable(logging.WARNING)

    def asked() -> int:
        with urllib.request.urlopen(case["url"].removesuffix("/v1") + "/stats", timeout=30) as response:
            return json.load(response)["requests"]

    def lm(model: str) -> dspy.LM:
        return dspy.LM(
            f"openai/{model}", api_base=case["url"], api_key="none", temperature=0.0, max_tokens=1000
        )

    dspy.configure(lm=lm(case["model"]))
    random.seed(1)
    train, val, test = (
        [dspy.Example(**row).with_inputs("question") for row in case[part]]
        for part in ("train", "val", "test")
    )
    program = TwoHop(case["searches"])
    before = asked()
    with contextlib.redirect_stdout(io.StringIO()):
        if case["step"] == "mipro":
            made = MIPROv2(metric=answer_exact_match, auto="light", num_threads=8, seed=case["seed"]).compile(
                program, trainset=train, valset=val
            )
        else:
            search = BootstrapFewShotWithRandomSearch(metric=answer_exact_match, num_threads=8)
            made = search.compile(program, trainset=train, valset=val)
        calls = asked() - before

        def scored(program: dspy.Module, model: str) -> float:
            evaluate = dspy.Evaluate(
                devset=test, metric=answer_exact_match, num_threads=8, display_progress=False
            )
            with dspy.context(lm=lm(model)):
                return evaluate(program).score

        told = {
            "calls": calls,
            "test": [scored(one, case["model"]) for one in (program, made)],
            "further": statistics.fmean(scored(made, model) for model in case["further"]),
        }
    Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
