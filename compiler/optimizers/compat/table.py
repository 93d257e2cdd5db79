"""The optimizers that have a faithful run, by the name a `step` uses."""

from __future__ import annotations

from . import bootstrap_few_shot, bootstrap_optuna, copro, labeled_few_shot, mipro, random_search
from .faithful import Faithful

FAITHFUL: dict[str, Faithful] = {
    "LabeledFewShot": labeled_few_shot.FAITHFUL,
    "BootstrapFewShot": bootstrap_few_shot.FAITHFUL,
    "BootstrapFewShotWithRandomSearch": random_search.FAITHFUL,
    "BootstrapFewShotWithOptuna": bootstrap_optuna.FAITHFUL,
    "COPRO": copro.FAITHFUL,
    "MIPROv2": mipro.FAITHFUL,
}
