"""DSPy's modules of several calls on scripted answers. Runs in DSPy's environment:

    python dspy_modules.py CASES.json RESULTS.json

A case's model is named after it, and the server behind it answers from the case's script.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
from dspy.primitives import LocalInterpreter

QA = dspy.Signature("question -> answer", "Answer the question.")


def search(query: str) -> str:
    """Passages that may answer the query."""
    if query == "broken":
        raise ValueError("no such index")
    return f"about {query}"


def reward(args: dict[str, Any], pred: dspy.Prediction) -> float:
    return min(len(pred.answer), 10) / 10


class Compared(dspy.Module):
    """Chains of thought, compared: DSPy leaves making them to whoever calls the module."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = dspy.ChainOfThought(QA)
        self.compare = dspy.MultiChainComparison(QA, M=2)

    def forward(self, question: str) -> dspy.Prediction:
        chains = [
            self.chain(question=question, config={"temperature": 0.7, "rollout_id": n}) for n in range(2)
        ]
        return self.compare(chains, question=question)


class Agreed(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict(QA)

    def forward(self, question: str) -> dspy.Prediction:
        answers = [
            self.ask(question=question, config={"temperature": 1.0, "rollout_id": n}) for n in range(3)
        ]
        return dspy.majority([dict(answer) for answer in answers])


HERE = {"interpreter_factory": LocalInterpreter}
"""Code runs in a process of this Python: DSPy's usual place for it is a WebAssembly runtime, which is no Python package."""

MODULES: dict[str, Callable[..., dspy.Module]] = {
    "ReAct": lambda **given: dspy.ReAct(QA, tools=[search], **given),
    "BestOfN": lambda **given: dspy.BestOfN(dspy.Predict(QA), reward_fn=reward, **given),
    "Refine": lambda **given: dspy.Refine(dspy.Predict(QA), reward_fn=reward, **given),
    "MultiChainComparison": Compared,
    "Majority": Agreed,
    "ProgramOfThought": lambda **given: dspy.ProgramOfThought(QA, **given, **HERE),
    "CodeAct": lambda **given: dspy.CodeAct(QA, tools=[search], **given, **HERE),
    "RLM": lambda **given: dspy.RLM(QA, tools=[search], **given, **HERE),
}


def result(case: dict[str, Any], url: str) -> dict[str, Any]:
    lm = dspy.LM(f"openai/{case['model']}", api_base=url, api_key="none", cache=False, temperature=0.0)
    program = MODULES[case["module"]](**case["options"])
    if "state" in case:
        program.load_state(case["state"])
    with dspy.context(lm=lm):
        try:
            prediction = program(question=case["question"])
        except Exception as error:  # noqa: BLE001 - how it fails is its result
            return {"failed": type(error).__name__}
    found = dict(prediction)
    trajectory = found.pop("trajectory", None)
    found.pop("final_reasoning", None)
    names = [name for name, _ in program.named_predictors()]
    return {"outputs": found, "names": names, "trajectory": json.loads(json.dumps(trajectory, default=str))}


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    logging.disable(logging.WARNING)
    results = {case["name"]: result(case, work["url"]) for case in work["cases"]}
    Path(sys.argv[2]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
