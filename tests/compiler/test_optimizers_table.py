"""The table of optimizers: complete, consistent, and cheap to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dspec.compiler.evaluate.counts import Calls, Range
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.table import ALIASES, INSTEAD, RUNS, SPECS, find

FACTS = Facts(train=40, val=100, predictors=2, calls_per_run=2)
DSPY = {
    "LabeledFewShot", "BootstrapFewShot", "BootstrapFewShotWithRandomSearch", "BootstrapRS",
    "BootstrapFewShotWithOptuna", "KNNFewShot", "COPRO", "MIPROv2", "GEPA", "SIMBA", "InferRules", "Ensemble",
    "BetterTogether", "BootstrapFinetune", "GRPO", "AvatarOptimizer", "ReAnchor",
}  # fmt: skip
OWN = {"Auto", "Prune"}
"""Those that DSPy has not."""


def calls(name: str, facts: Facts = FACTS, **options: object) -> Calls:
    spec = SPECS[name]
    return spec.calls(Options(spec, options), facts)  # type: ignore[arg-type]


def test_every_optimizer_of_dspy_is_there_or_has_another_in_its_place() -> None:
    assert SPECS.keys() | ALIASES.keys() | INSTEAD.keys() == DSPY | OWN
    assert SPECS.keys() == RUNS.keys()
    assert find("BootstrapRS") is SPECS["BootstrapFewShotWithRandomSearch"]
    assert find("AvatarOptimizer") is None


@pytest.mark.parametrize("name", SPECS)
def test_options_have_docs_and_defaults_within_their_bounds(name: str) -> None:
    names = [option.name for option in SPECS[name].options]
    assert len(names) == len(set(names))
    for option in SPECS[name].options:
        assert option.doc.endswith(".")
        assert (option.default is None) <= option.optional
        if isinstance(option.default, int | float) and option.minimum is not None:
            assert option.minimum <= option.default


def test_defaults_are_dspys() -> None:
    defaults = {option.name: option.default for option in SPECS["BootstrapFewShotWithRandomSearch"].options}
    assert defaults == {
        "max_bootstrapped_demos": 4,
        "max_labeled_demos": 16,
        "max_rounds": 1,
        "max_errors": None,
        "metric_threshold": None,
        "num_candidate_programs": 16,
        "stop_at_score": None,
        "labeled_sample": True,
        "restrict": None,
        "search": "racing",  # our own: DSPy scores every candidate in full
    }
    assert SPECS["LabeledFewShot"].options[0].default == 16


def test_the_cost_formulas_count_calls_not_runs() -> None:
    assert calls("LabeledFewShot") == Calls()
    assert calls("BootstrapFewShot") == Calls(teacher=Range(8, 80))
    assert calls("BootstrapFewShot", max_rounds=3).most == 240
    # 16 shuffled sets, three fixed kinds, and the program as it came.
    assert calls("BootstrapFewShotWithRandomSearch", search="full").task == Range(200, 20 * 200)
    assert calls("BootstrapFewShotWithRandomSearch").task.most <= 20 * 200 / 2
    assert calls("BootstrapFewShotWithRandomSearch").teacher == Range(8, 80)
    assert calls("BootstrapFewShotWithRandomSearch", search="full", restrict=[-3]) == Calls(
        task=Range(200, 400)
    )
    assert calls("BootstrapFewShotWithRandomSearch", stop_at_score=1.0).least == 200
    assert calls("BootstrapFewShotWithOptuna").task == Range(200, 17 * 200)
    known = Facts(40, 100, 2, 2, student_scored=True, student_bare=True)
    assert calls("BootstrapFewShotWithRandomSearch", known, search="full").task == Range(0, 18 * 200)
    assert calls("BootstrapFewShotWithOptuna", known).task == Range(0, 16 * 200)
    cheap = Facts(train=40, val=100, predictors=2, calls_per_run=2, teacher_calls_per_run=1)
    assert calls("BootstrapFewShot", cheap).teacher == Range(4, 40)


def test_the_table_imports_no_search_library() -> None:
    code = (
        "import sys, dspec.compiler.optimizers.table; "
        "print([m for m in ('optuna', 'litellm', 'aiohttp', 'pygls') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
