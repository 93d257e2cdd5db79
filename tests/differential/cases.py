"""What both sides compile: programs, rows and options, as JSON for the one and as values for the other."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

SEEDS = (0, 1, 7)
PROGRAMS = ("one", "two")
GROUPS = 4
WORDS = ("lost", "card", "money", "late", "never", "again", "please", "why", "blue", "seven")


@dataclass(frozen=True)
class Case:
    """One optimizer on one program. `seed` draws the rows, salts the model's answers, and is the seed of the
    optimizers that have one; the others always draw from the same seeds, in DSPy as here."""

    optimizer: str
    program: str
    seed: int
    options: dict[str, Any]
    train: int = 16
    val: int = 12
    label: str = ""
    every: int = 0
    """Proposals that DSPy asks for, a predictor (`model`)."""
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    unlabelled: int = 0
    """Every so many rows of train one has no label; 0 for none."""

    @property
    def name(self) -> str:
        label = f"-{self.label}" if self.label else ""
        return f"{self.optimizer}{label}-{self.program}-{self.seed}"

    def model(self, side: str) -> str:
        return f"{side}.{self.name}.{self.seed}.{self.every}"

    def rows(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Rows of train and val; two rows of train are the same, as rows sometimes are.

        Not for KNNFewShot, whose index has a row once, while DSPy would show it twice.
        """
        draws = random.Random(f"rows {self.seed}")
        made = [row(number, draws) for number in range(self.train + self.val)]
        train, val = made[: self.train], made[self.train :]
        if len(train) > 3 and self.optimizer != "KNNFewShot":
            train[3] = dict(train[1])
        if self.unlabelled:
            for one in train[:: self.unlabelled]:
                del one["label"]
        return train, val

    def as_json(self) -> dict[str, Any]:
        train, val = self.rows()
        plain = {"optimizer": self.optimizer, "program": self.program, "options": self.options}
        given = {
            "name": self.name,
            "model": self.model("dspy"),
            "seed": self.seed,
            "train": train,
            "val": val,
        }
        return {**plain, **given, **self.more}


def row(number: int, draws: random.Random) -> dict[str, str]:
    group = draws.randrange(GROUPS)
    return {"text": f"{' '.join(draws.sample(WORDS, 3))} g{group}, row {number}", "label": f"L{group}"}


def every(optimizer: str, *variants: tuple[str, dict[str, Any]], **sizes: Any) -> list[Case]:
    """The optimizer on every program at every seed, with each variant's options."""
    return [
        Case(optimizer, program, seed, options, label=label, **sizes)
        for label, options in variants
        for program in PROGRAMS
        for seed in SEEDS
    ]


LABELED = every("LabeledFewShot", ("", {"k": 5, "sample": True}))
FIRST = [Case("LabeledFewShot", "two", 0, {"k": 5, "sample": False}, label="first")]
BOOTSTRAP = [
    *every("BootstrapFewShot", ("", {"max_bootstrapped_demos": 3, "max_labeled_demos": 6})),
    Case(
        "BootstrapFewShot",
        "two",
        0,
        {"max_bootstrapped_demos": 4, "max_labeled_demos": 0, "max_rounds": 2, "metric_threshold": 0.5},
        label="rounds",
    ),
    Case("BootstrapFewShot", "one", 1, {"max_bootstrapped_demos": 40, "max_labeled_demos": 40}, label="all"),
    Case("BootstrapFewShot", "one", 2, {"max_bootstrapped_demos": 0, "max_labeled_demos": 4}, label="none"),
]
SEARCH = [
    *every(
        "BootstrapFewShotWithRandomSearch",
        ("", {"max_bootstrapped_demos": 3, "max_labeled_demos": 5, "num_candidate_programs": 3}),
    ),
    Case(
        "BootstrapFewShotWithRandomSearch",
        "one",
        3,
        {
            "num_candidate_programs": 4,
            "max_labeled_demos": 3,
            "restrict": [-2, 0, 3],
            "labeled_sample": False,
        },
        label="restricted",
    ),
    Case(
        "BootstrapFewShotWithRandomSearch",
        "two",
        3,
        {"num_candidate_programs": 2, "max_labeled_demos": 3},
        val=0,
        label="no-val",
    ),
]
OPTUNA = every(
    "BootstrapFewShotWithOptuna",
    ("", {"max_demos": 3, "max_labeled_demos": 5, "num_candidate_programs": 14}),
    val=8,
)
COPRO = every("COPRO", ("", {"breadth": 3, "depth": 3}), train=10, val=4)
MIPRO = [
    *every(
        "MIPROv2",
        (
            "full",
            {
                "auto": None,
                "num_candidates": 4,
                "num_trials": 13,
                "max_bootstrapped_demos": 2,
                "max_labeled_demos": 3,
                "minibatch": False,
            },
        ),
        train=12,
        val=8,
        every=4,
    ),
    *every(
        "MIPROv2",
        (
            "minibatch",
            {
                "auto": None,
                "num_candidates": 4,
                "num_trials": 12,
                "max_bootstrapped_demos": 2,
                "max_labeled_demos": 0,
                "minibatch_size": 6,
                "minibatch_full_eval_steps": 5,
            },
        ),
        train=12,
        val=10,
        every=4,
    ),
    Case(
        "MIPROv2",
        "one",
        9,
        {"auto": "light", "max_bootstrapped_demos": 0, "max_labeled_demos": 0},
        train=24,
        val=0,
        label="zero-shot-no-val",
        every=6,
    ),
]
INSIDE = {
    "c": ("COPRO", {"breadth": 2, "depth": 1}),
    "p": ("BootstrapRS", {"num_candidate_programs": 1, "max_bootstrapped_demos": 2, "max_labeled_demos": 3}),
}
# COPRO once in a strategy: asked the same question a second time, this project remembers the answer, and
# the scripted model would have another one.
TOGETHER = [
    *every("BetterTogether", ("", {"strategy": "c -> p"}), train=12, val=8, more={"nested": INSIDE}),
    *every("BetterTogether", ("reversed", {"strategy": "p -> c"}), train=12, val=8, more={"nested": INSIDE}),
    Case(
        "BetterTogether",
        "one",
        2,
        {"strategy": "p -> p", "valset_ratio": 0.4, "shuffle_trainset_between_steps": False},
        train=20,
        val=0,
        label="no-val",
        more={"nested": INSIDE},
    ),
]
PARTLY = [
    *every("LabeledFewShot", ("partly", {"k": 5, "sample": True}), unlabelled=3),
    *every(
        "BootstrapFewShot", ("partly", {"max_bootstrapped_demos": 3, "max_labeled_demos": 6}), unlabelled=3
    ),
    *every(
        "BootstrapFewShotWithRandomSearch",
        ("partly", {"max_bootstrapped_demos": 2, "max_labeled_demos": 4, "num_candidate_programs": 2}),
        unlabelled=2,
    ),
]
"""Rows of which some have no label: none of those becomes a demo with an empty one."""
COUNTED = [*LABELED, *FIRST, *BOOTSTRAP, *(case for case in PARTLY if "Search" not in case.optimizer)]
"""Optimizers that score nothing: they make the same number of different calls on both sides."""
CASES = [*LABELED, *FIRST, *BOOTSTRAP, *PARTLY, *SEARCH, *OPTUNA, *COPRO, *MIPRO, *TOGETHER]
"""Compiled whole on both sides, and compared in everything that a prompt can show."""

NEIGHBOURS = every(
    "KNNFewShot",
    ("bootstrapped", {"k": 4, "max_bootstrapped_demos": 2, "max_labeled_demos": 0}),
    ("labelled", {"k": 4, "max_bootstrapped_demos": 0, "max_labeled_demos": 4}),
    val=6,
)
NEIGHBOURS += every(
    "KNNFewShot",
    ("partly", {"k": 5, "max_bootstrapped_demos": 0, "max_labeled_demos": 3}),
    val=6,
    unlabelled=3,
)
NEIGHBOURS_AT_DEFAULTS = every(
    "KNNFewShot", ("defaults", {"k": 3, "max_bootstrapped_demos": 4, "max_labeled_demos": 16}), val=10
)
MEMBERS = every("Ensemble", ("", {}), val=12)
EXPORTED = [Case("LabeledFewShot", program, 5, {"k": 3}, label="export") for program in PROGRAMS]
