"""DSPy's side of the differential tests. Runs in DSPy's environment, once for a batch of cases:

    python dspy_side.py CASES.json RESULTS.json

Everything it needs is in the cases; it talks to the model on loopback and to nobody else.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dspy
import numpy as np
import optuna
from dspy.teleprompt import (
    COPRO,
    BetterTogether,
    BootstrapFewShot,
    BootstrapFewShotWithOptuna,
    BootstrapFewShotWithRandomSearch,
    Ensemble,
    LabeledFewShot,
    MIPROv2,
    knn_fewshot,
)
from dspy.utils.callback import BaseCallback


class One(dspy.Module):
    """A chain of thought from text to label."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.ChainOfThought(dspy.Signature("text -> label", "Give label."))

    def forward(self, text: str) -> dspy.Prediction:
        return dspy.Prediction(label=self.ask(text=text).label)


class Two(dspy.Module):
    """A gist of the text, then the label from both."""

    def __init__(self) -> None:
        super().__init__()
        self.summarize = dspy.Predict(dspy.Signature("text -> gist", "Give gist."))
        self.decide = dspy.Predict(dspy.Signature("text, gist -> label", "Give label."))

    def forward(self, text: str) -> dspy.Prediction:
        gist = self.summarize(text=text).gist
        return dspy.Prediction(label=self.decide(text=text, gist=gist).label)


PROGRAMS = {"one": One, "two": Two}


def right(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> bool:
    return example.get("label") == prediction.label


class Counted(BaseCallback):
    """What DSPy asks of a model: the messages of every call, and which calls its cache, if it were on, would tell apart."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.distinct: set[str] = set()

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.asked.append(inputs["messages"])
        self.distinct.add(
            json.dumps([inputs, instance.kwargs.get("rollout_id")], sort_keys=True, default=str)
        )


def examples(rows: list[dict[str, str]]) -> list[dspy.Example]:
    return [dspy.Example(**row).with_inputs("text") for row in rows]


def compiled(case: dict[str, Any]) -> dspy.Module:
    """The case's program, compiled by its optimizer."""
    student, options = PROGRAMS[case["program"]](), case["options"]
    train, val = examples(case["train"]), examples(case["val"]) if case["val"] else None
    made = options.get
    match case["optimizer"]:
        case "LabeledFewShot":
            return LabeledFewShot(k=options["k"]).compile(student, trainset=train, sample=options["sample"])
        case "BootstrapFewShot":
            return BootstrapFewShot(metric=right, **options).compile(student, trainset=train)
        case "BootstrapFewShotWithRandomSearch":
            own = {name: made(name) for name in options if name not in ("restrict", "labeled_sample")}
            later = {name: made(name) for name in options if name in ("restrict", "labeled_sample")}
            search = BootstrapFewShotWithRandomSearch(metric=right, num_threads=4, **own)
            return search.compile(student, trainset=train, valset=val, **later)
        case "BootstrapFewShotWithOptuna":
            own = {name: made(name) for name in options if name != "max_demos"}
            search = BootstrapFewShotWithOptuna(metric=right, num_threads=4, **own)
            with seeded_study(case["seed"]) as study:
                best = search.compile(student, max_demos=options["max_demos"], trainset=train, valset=val)
            trials = [{"score": one.value, "program": one.user_attrs["program"]} for one in study().trials]
            best.candidate_programs = sorted(trials, key=lambda one: one["score"], reverse=True)
            return best
        case "COPRO":
            copro = COPRO(metric=right, **options)
            return copro.compile(student, trainset=train, eval_kwargs={"num_threads": 4})
        case "MIPROv2":
            at_start = ("auto", "num_candidates", "max_bootstrapped_demos", "max_labeled_demos")
            own = {name: made(name) for name in options if name in at_start}
            later = {name: made(name) for name in options if name not in at_start}
            mipro = MIPROv2(metric=right, num_threads=4, seed=case["seed"], **own)
            return mipro.compile(student, trainset=train, valset=val, **later)
        case "BetterTogether":
            student.set_lm(dspy.settings.lm)
            inside = {name: optimizer(*given) for name, given in case["nested"].items()}
            together = BetterTogether(metric=right, **inside)
            return together.compile(
                student, trainset=train, valset=val, seed=case["seed"], num_threads=4, **options
            )
        case other:
            raise ValueError(f"no such optimizer: {other}")


def optimizer(name: str, options: dict[str, Any]) -> Any:
    """One that BetterTogether runs."""
    made = {"COPRO": COPRO, "BootstrapRS": BootstrapFewShotWithRandomSearch}
    return made[name](metric=right, **options)


def neighbours(case: dict[str, Any]) -> dict[str, Any]:
    """For every row of val: the state of the program that KNNFewShot makes for it."""
    states: list[dict[str, Any]] = []

    class Recorded(BootstrapFewShot):
        def compile(self, *given: Any, **named: Any) -> dspy.Module:
            made = super().compile(*given, **named)
            states.append(state_of(made))
            return made

    def vectors(texts: list[str]) -> np.ndarray:
        return np.array([case["vectors"][text] for text in texts], dtype=np.float32)

    options = {name: value for name, value in case["options"].items() if name != "k"}
    usual, knn_fewshot.BootstrapFewShot = knn_fewshot.BootstrapFewShot, Recorded
    try:
        knn = knn_fewshot.KNNFewShot(
            case["options"]["k"], examples(case["train"]), dspy.Embedder(vectors), metric=right, **options
        )
        program = knn.compile(PROGRAMS[case["program"]]())
        answers = [program(text=row["text"]).label for row in case["val"]]
    finally:
        knn_fewshot.BootstrapFewShot = usual
    return {"states": states, "answers": answers}


@contextlib.contextmanager
def seeded_study(seed: int) -> Iterator[Callable[[], optuna.Study]]:
    """DSPy leaves this one sampler without a seed; everything else of it stays as it is."""
    create = optuna.create_study
    made: list[optuna.Study] = []

    def seeded(**given: Any) -> optuna.Study:
        made.append(create(**given, sampler=optuna.samplers.TPESampler(seed=seed)))
        return made[-1]

    optuna.create_study = seeded
    try:
        yield lambda: made[0]
    finally:
        optuna.create_study = create


def candidates(program: dspy.Module) -> list[dict[str, Any]]:
    """Every candidate that was scored on all rows, best first, with what tells it apart."""
    listed = getattr(program, "candidate_programs", [])
    return [{"score": one["score"], "state": state_of(one["program"])} for one in listed]


def state_of(program: dspy.Module) -> dict[str, Any]:
    return json.loads(json.dumps(program.dump_state()))


def loaded(case: dict[str, Any]) -> dict[str, Any]:
    """A state that was written by somebody else, loaded as DSPy loads files, and dumped again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.json"
        path.write_text(json.dumps(case["load"]))
        program = PROGRAMS[case["program"]]()
        program.load(path)
        answers = [program(text=row["text"]).label for row in case["val"]]
    return {"state": state_of(program), "answers": answers}


def prompted(case: dict[str, Any]) -> dict[str, Any]:
    """What is asked with each of two states, on the same rows."""
    asked: dict[str, Any] = {}
    for side, state in case["prompts"].items():
        program = PROGRAMS[case["program"]]()
        program.load_state(state)
        program.set_lm(None)  # BetterTogether's state names its model
        counted = Counted()
        with dspy.context(callbacks=[counted]):
            for row in case["val"]:
                program(text=row["text"])
        asked[side] = counted.asked
    return asked


def ensembled(case: dict[str, Any]) -> dict[str, Any]:
    """The votes of several loaded states."""
    members = []
    for state in case["members"]:
        member = PROGRAMS[case["program"]]()
        member.load_state(state)
        members.append(member)
    program = Ensemble(reduce_fn=dspy.majority).compile(members)
    return {"answers": [program(text=row["text"]).label for row in case["val"]]}


def result(case: dict[str, Any], url: str) -> dict[str, Any]:
    lm = dspy.LM(f"openai/{case['model']}", api_base=url, api_key="none", cache=False, temperature=0.0)
    with dspy.context(lm=lm):
        # DSPy draws from the global generator when it builds predictors; nothing may depend on that.
        random.seed(1)
        if "vectors" in case:
            return neighbours(case)
        if "members" in case:
            return ensembled(case)
        if "load" in case:
            return loaded(case)
        if "prompts" in case:
            return prompted(case)
        counted = Counted()
        with dspy.context(callbacks=[counted]):
            program = compiled(case)
        return {"state": state_of(program), "candidates": candidates(program), "calls": len(counted.distinct)}


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    logging.disable(logging.WARNING)
    results: dict[str, Any] = {}
    for case in work["cases"]:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                results[case["name"]] = result(case, work["url"])
        except Exception:  # noqa: BLE001 - a case's failure is its result
            results[case["name"]] = {"error": traceback.format_exc()}
    Path(sys.argv[2]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
