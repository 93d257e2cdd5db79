"""The list of optimizers: what runs, under which names, and what does not run yet.

Check, plan, completion, hover and the engine ask here and nowhere else. Importing this file imports
no search library: an optimizer that needs one imports it when it runs.
"""

from __future__ import annotations

from . import bootstrap_few_shot, bootstrap_optuna, copro, labeled_few_shot, mipro, random_search
from .base import Run, Spec

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        labeled_few_shot.SPEC,
        bootstrap_few_shot.SPEC,
        random_search.SPEC,
        bootstrap_optuna.SPEC,
        copro.SPEC,
        mipro.SPEC,
    )
}
"""By the name a `step` uses, simplest first."""

RUNS: dict[str, Run] = {
    labeled_few_shot.SPEC.name: labeled_few_shot.run,
    bootstrap_few_shot.SPEC.name: bootstrap_few_shot.run,
    random_search.SPEC.name: random_search.run,
    bootstrap_optuna.SPEC.name: bootstrap_optuna.run,
    copro.SPEC.name: copro.run,
    mipro.SPEC.name: mipro.run,
}
"""What carries out each optimizer of `SPECS`."""

ALIASES: dict[str, str] = {"BootstrapRS": random_search.SPEC.name}
"""Further names that DSPy gives an optimizer of `SPECS`."""

NOT_YET: dict[str, str] = {
    "KNNFewShot": "it needs an index of neighbours in the artifact",
    "GEPA": "it needs a model that reflects on feedback",
    "SIMBA": "it needs a model that reflects on trajectories",
    "InferRules": "it needs a model that writes rules",
    "Ensemble": "programs with several members cannot be run or saved yet",
    "BetterTogether": "it needs a step that tunes weights",
    "BootstrapFinetune": "it needs a provider that tunes weights",
    "GRPO": "it needs a provider that tunes weights",
    "AvatarOptimizer": "it optimizes tool-using agents, which do not run yet",
    "ReAnchor": "it fits decision outputs, which the language does not have yet",
}
"""DSPy's other optimizers: name to what is missing, a clause that completes "not supported yet: …"."""


def find(name: str) -> Spec | None:
    """The spec of an optimizer by its name or by an alias."""
    return SPECS.get(ALIASES.get(name, name))
