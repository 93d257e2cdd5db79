"""What is declared runs. Weights alone are tuned by nothing here, and the page of the language says no more than that."""

from __future__ import annotations

import re
from pathlib import Path

from dspec.compiler.optimizers.table import NOT_YET, SPECS
from dspec.compiler.tables.blocks import BLOCKS

ROOT = Path(__file__).resolve().parents[2]
OF_WEIGHTS = {"BootstrapFinetune", "GRPO"}


def test_every_optimizer_but_those_of_weights_runs() -> None:
    assert set(NOT_YET) == OF_WEIGHTS
    assert not set(NOT_YET) & set(SPECS)


def test_every_section_runs_but_that_of_tuned_weights() -> None:
    later = {
        f"{spec.keyword}.{section.name}"
        for spec in BLOCKS.values()
        for section in spec.sections
        if not section.supported
    }
    assert later == {"lm.train"}


def test_nothing_else_is_told_to_be_not_supported_yet() -> None:
    """The finding is made where a strategy, a section, an optimizer or one of a strategy's optimizers does not run."""
    made = {
        path.relative_to(ROOT / "compiler").as_posix()
        for path in (ROOT / "compiler").rglob("*.py")
        if path.parent.name != "codes" and "NotYet(" in path.read_text(encoding="utf-8")
    }
    assert made == {
        "check/chain/steps.py",
        "check/chain/strategy.py",
        "check/shape/shape.py",
    }


def test_the_page_of_the_language_names_weights_alone() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    section = page.partition("## Declared but not run\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert named >= OF_WEIGHTS
    assert named <= {*OF_WEIGHTS, "lm"}
    told = [line for line in page.splitlines() if "Not supported yet" in line]
    assert len(told) == 1
    assert told[0].startswith("| `train { … }` |")
