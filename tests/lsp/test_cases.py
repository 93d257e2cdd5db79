"""Every feature of the editor on the cases in `cases/`, as `support/cursors` reads them: a folder for each feature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cursors import MAIN, Case, case_files, check_cases

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.lsp.features.facts import DataFacts, facts_of
from dspec.lsp.features.hover import hover


@cache
def analysed(text: str) -> Analysis:
    return analyse(MAIN, text=text, probe=False)


@cache
def facts(text: str) -> DataFacts:
    return facts_of(analyse(MAIN, text=text))


def _hover(case: Case) -> str:
    told: list[str] = []
    for offset in case.cursors:
        found = hover(analysed(case.text), offset, facts(case.text))
        shown = f"[{case.text[found.start : found.end]}]\n{found.text}" if found else "nothing"
        told.append(shown)
    return "\n~~~\n".join(told)


SHOWN: dict[str, Callable[[Case], str]] = {
    "hover": _hover,
}
"""How the answers of each feature are written down."""


@pytest.mark.parametrize("path", case_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_cases(path: Path) -> None:
    check_cases(path, SHOWN[path.parent.name])
