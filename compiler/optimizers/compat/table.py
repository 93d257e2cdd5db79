"""The optimizers that can run on DSPy's schedule, and what runs a step and counts its calls.

A file is imported when its optimizer is asked for, as in the main table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from dspec.runtime.running.filetable import FileTable

from ...evaluate.counts import Calls
from ..base import Facts, Option, Options, Run, Spec
from ..table import RUNS
from .faithful import Faithful

Compat = Literal["dspy"]
COMPAT = Option(
    "compat",
    "str",
    None,
    "Whose schedule and random draws the step has; `none` for its own where the block says otherwise.",
    optional=True,
    choices=("dspy",),
)
"""The option that every step has."""

_MODULES: dict[str, str] = {
    "LabeledFewShot": "labeled_few_shot",
    "BootstrapFewShot": "bootstrap_few_shot",
    "BootstrapFewShotWithRandomSearch": "random_search",
    "BootstrapFewShotWithOptuna": "bootstrap_optuna",
    "COPRO": "copro",
    "MIPROv2": "mipro",
    "KNNFewShot": "knn_few_shot",
    "Ensemble": "ensemble",
    "BetterTogether": "better_together",
}


FAITHFUL: Mapping[str, Faithful] = FileTable[Faithful](__package__, _MODULES, "FAITHFUL")
"""The faithful ones, by the name that a `step` uses."""


def run_of(spec: Spec, compat: Compat | None) -> Run:
    """What carries out a step; `check` has seen to it that there is a faithful run where one is asked for."""
    return RUNS[spec.name] if compat is None else FAITHFUL[spec.name].run


def calls_of(spec: Spec, compat: Compat | None) -> Callable[[Options, Facts], Calls]:
    return spec.calls if compat is None else FAITHFUL[spec.name].calls


def scores_val(spec: Spec, compat: Compat | None) -> bool:
    """Whether the step's candidates are scored on the block's val, and nothing else."""
    return compat is None or FAITHFUL[spec.name].scores_val
