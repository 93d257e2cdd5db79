"""Every optimizer as a step of a small project, in each way in which it can run, with models made for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripted import Asked, Reply, group, oracle, wrong
from writing import task

from dspec.compiler import ir
from dspec.runtime.schema.types import JsonValue

RANDOM = "BootstrapFewShotWithRandomSearch"
OPTUNA = "BootstrapFewShotWithOptuna"


def uneven(asked: Asked) -> Mapping[str, object]:
    """Right on every other run of a row."""
    return (oracle if asked.request.sample % 2 else wrong)(asked)


def improves(asked: Asked) -> Mapping[str, object]:
    """The later an instruction was written, the more rows it gets right; a gist carries that on."""
    said = re.search(r"case (\d+)", task(asked))
    inherited = re.search(r"level (\d+)", asked.question.get("gist", ""))
    level = (int(said[1]) + 1 if said else 0) + (int(inherited[1]) if inherited else 0)
    text = asked.question["text"]
    right = int(text.split()[1]) * 37 % 60 < level
    return {"label": f"L{group(text)}" if right else "L?", "gist": f"level {level}"}


def writes(reply: Reply) -> Reply:
    """The same model, which also writes what optimizers ask for, never the same twice."""
    written = 0

    def answer(asked: Asked) -> Mapping[str, object] | str | Exception:
        nonlocal written
        if "label" in asked.wanted or "gist" in asked.wanted:
            return reply(asked)
        written += 1
        return dict.fromkeys(asked.wanted, f"Mind case {written - 1}.")

    return answer


def writes_by_question(reply: Reply) -> Reply:
    """The same, and what it writes depends on the question alone, whenever that comes."""

    def answer(asked: Asked) -> Mapping[str, object] | str | Exception:
        if "label" in asked.wanted or "gist" in asked.wanted:
            return reply(asked)
        recipe = repr((asked.request.messages, asked.request.sample, asked.request.temperature))
        number = int.from_bytes(hashlib.sha256(recipe.encode()).digest()[:4], "big") % 60
        return dict.fromkeys(asked.wanted, f"Mind case {number}.")

    return answer


@dataclass(frozen=True)
class Case:
    """A step, and the model under which it shares nothing."""

    step: ir.StepSpec
    reply: Reply = wrong


def step(optimizer: str, *, compat: bool = False, **options: JsonValue) -> ir.StepSpec:
    return ir.StepSpec(name="tune", optimizer=optimizer, options=options, compat="dspy" if compat else None)


def together(*, compat: bool = False, **inner: ir.StepSpec) -> ir.StepSpec:
    made = step("BetterTogether", compat=compat, strategy=" -> ".join(inner))
    return made.model_copy(update={"nested": inner})


SETS: dict[str, JsonValue] = {"num_candidate_programs": 4, "max_labeled_demos": 4}
WORDS: dict[str, JsonValue] = {"breadth": 4, "depth": 2}
TRIALS: dict[str, JsonValue] = {"auto": None, "num_candidates": 5, "num_trials": 8, "minibatch_size": 5}
BARE: dict[str, JsonValue] = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}
# DSPy's sampler takes a choice twice; of many choices in few trials it takes none twice.
WIDE: dict[str, JsonValue] = {**TRIALS, "num_candidates": 14, "num_trials": 4}

CASES: dict[str, Case] = {
    "LabeledFewShot": Case(step("LabeledFewShot")),
    "BootstrapFewShot": Case(step("BootstrapFewShot", max_labeled_demos=4)),
    "BootstrapFewShot, 2 rounds": Case(step("BootstrapFewShot", max_labeled_demos=4, max_rounds=2)),
    "RandomSearch": Case(step(RANDOM, **{**SETS, "num_candidate_programs": 10})),
    "RandomSearch, full": Case(step(RANDOM, search="full", **SETS)),
    "RandomSearch, one by one": Case(step(RANDOM, stop_at_score=1.0, **SETS)),
    "Optuna": Case(step(OPTUNA, num_candidate_programs=4, max_labeled_demos=4)),
    "COPRO": Case(step("COPRO", **WORDS)),
    "COPRO, full": Case(step("COPRO", search="full", **WORDS)),
    "MIPROv2": Case(step("MIPROv2", **TRIALS)),
    "MIPROv2, light": Case(step("MIPROv2")),
    "MIPROv2, minibatches": Case(step("MIPROv2", search="minibatch", **TRIALS)),
    "MIPROv2, full": Case(step("MIPROv2", minibatch=False, **TRIALS)),
    "MIPROv2, instructions": Case(step("MIPROv2", **BARE, **TRIALS)),
    "SIMBA": Case(step("SIMBA", max_steps=2, num_candidates=3, bsize=10, max_demos=0, search="full"), uneven),
    "InferRules": Case(step("InferRules", num_candidates=3, max_labeled_demos=4)),
    "KNNFewShot": Case(step("KNNFewShot")),
    "KNNFewShot, 2 rounds": Case(step("KNNFewShot", max_rounds=2)),
    "Auto": Case(step("Auto")),
    "BetterTogether": Case(together(i=step("COPRO", **WORDS), p=step(RANDOM, **SETS))),
    "dspy: LabeledFewShot": Case(step("LabeledFewShot", compat=True)),
    "dspy: BootstrapFewShot": Case(step("BootstrapFewShot", compat=True, max_labeled_demos=4)),
    "dspy: RandomSearch": Case(step(RANDOM, compat=True, **SETS)),
    "dspy: Optuna": Case(
        step(OPTUNA, compat=True, num_candidate_programs=3, max_bootstrapped_demos=16, max_labeled_demos=4),
        oracle,
    ),
    # With two predictors, the best so far is scored again as one of the next one's candidates.
    "dspy: COPRO": Case(step("COPRO", compat=True, breadth=8, depth=2), improves),
    "dspy: MIPROv2": Case(step("MIPROv2", compat=True, **WIDE)),
    "dspy: MIPROv2, full": Case(step("MIPROv2", compat=True, minibatch=False, **WIDE)),
    "dspy: KNNFewShot": Case(step("KNNFewShot", compat=True)),
    "dspy: BetterTogether": Case(
        together(compat=True, p=step(RANDOM, compat=True, **SETS), d=step("BootstrapFewShot", compat=True))
    ),
}
GEPA = Case(step("GEPA", max_metric_calls=300))
