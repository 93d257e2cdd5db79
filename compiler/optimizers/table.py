"""The list of optimizers: what runs, and under which names.

Check, plan, completion, hover and the engine ask here and nowhere else. An optimizer's module is
imported when its spec or its run is first asked for, so that checking a file costs the optimizers it
names and no more; one that needs a search library imports that when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.running.filetable import FileTable

from .base import Run, Spec

_MODULES: dict[str, str] = {
    "LabeledFewShot": "labeled_few_shot",
    "BootstrapFewShot": "bootstrap_few_shot",
    "BootstrapFewShotWithRandomSearch": "random_search",
    "BootstrapFewShotWithOptuna": "bootstrap_optuna",
    "COPRO": "copro",
    "MIPROv2": "mipro",
    "GEPA": "gepa",
    "SIMBA": "simba",
    "InferRules": "infer_rules",
    "KNNFewShot": "knn_few_shot",
    "Ensemble": "ensemble",
    "BetterTogether": "better_together",
    "BootstrapFinetune": "bootstrap_finetune",
    "GRPO": "grpo",
    "Prune": "prune",
    "Auto": "auto",
}


SPECS: Mapping[str, Spec] = FileTable[Spec](__package__, _MODULES, "SPEC")
"""The records, by the name that a `step` uses, simplest first."""

RUNS: Mapping[str, Run] = FileTable[Run](__package__, _MODULES, "run")
"""What carries out each optimizer of `SPECS`."""

ALIASES: dict[str, str] = {"BootstrapRS": "BootstrapFewShotWithRandomSearch"}
"""Further names that DSPy gives an optimizer of `SPECS`."""

INSTEAD: dict[str, str] = {
    "AvatarOptimizer": "`GEPA` tunes agents: it writes the instruction of a `ReAct` module and its tools' descriptions anew",
    "ReAnchor": "it moves thresholds of a model's probabilities, which no output here has; what comes nearest is "
    "an output that is a number, with `GEPA` or `MIPROv2` writing what its values mean",
}
"""DSPy's other optimizers, which are none here: name to what to take instead."""

FIRST_STEP = "step demos = BootstrapFewShot()"
"""What messages show, and fixes insert, where a chain has no step yet."""

FOR_FEW = ("LabeledFewShot", "BootstrapFewShot")
"""Optimizers that are enough where there are few rows, least demanding first. A hint names one of them. They are
listed here, so that the hint need not import every optimizer."""


def for_few(rows: int) -> str:
    """The most demanding optimizer of `FOR_FEW` for which so many rows are enough."""
    return [name for name in FOR_FEW if rows >= SPECS[name].enough_from][-1]


def find(name: str) -> Spec | None:
    """The spec of an optimizer by its name or by an alias."""
    return SPECS.get(ALIASES.get(name, name))
